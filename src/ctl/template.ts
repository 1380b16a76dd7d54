import { UserError } from "../lib/errors.js";

const badVariable = (pair: string, reason: string) =>
  UserError.of("flag.value", { value: pair, flag: "-v, --var", reason });

/** Parses `-v key=value`, with several pairs in one flag separated by commas. Each variable has one value. */
export function parseVariables(pairs: readonly string[]): ReadonlyMap<string, string> {
  const variables = new Map<string, string>();
  for (const pair of pairs) {
    const at = pair.indexOf("=");
    if (at <= 0) throw badVariable(pair, "must be written key=value");
    const [name, value] = [pair.slice(0, at).trim(), pair.slice(at + 1)];
    const before = variables.get(name);
    if (before !== undefined && before !== value) throw badVariable(pair, `"${name}" is given as "${before}" as well`);
    variables.set(name, value);
  }
  return variables;
}

type View = { [name: string]: View | string };

/**
 * Builds nested objects for dotted names, as Mustache looks them up. They have no prototype, so templates can't reach
 * inherited properties.
 */
function nest(variables: ReadonlyMap<string, string>): View {
  const root: View = Object.create(null);
  for (const [name, value] of variables) {
    const words = name.split(".");
    const last = words.pop() ?? name;
    let place = root;
    for (const word of words) {
      const inner = place[word];
      const next: View = typeof inner === "object" ? inner : Object.create(null);
      place[word] = next;
      place = next;
    }
    place[last] = value;
  }
  return root;
}

/**
 * Returns a template that renders to the text, even when the text contains what looks like a tag. The first line, a
 * YAML comment, changes the tag delimiters.
 */
export function verbatim(text: string): string {
  if (!text.includes("{{")) return text;
  let [left, right] = ["<%", "%>"];
  while (text.includes(left) || text.includes(right)) [left, right] = [`<${left}`, `${right}>`];
  return `# {{=${left} ${right}=}}\n${text}`;
}

/**
 * Renders a Mustache template. Nothing is escaped, because the result is YAML or JSON, not HTML. Unknown names become
 * empty.
 */
export async function renderTemplate(template: string, variables: ReadonlyMap<string, string>): Promise<string> {
  // Most documents are not templates; the library is not loaded for them.
  if (!template.includes("{{")) return template;
  const { default: mustache } = await import("mustache");
  try {
    return mustache.render(template, nest(variables), {}, { escape: String });
  } catch (error) {
    throw UserError.of("template.invalid", { reason: error });
  }
}
