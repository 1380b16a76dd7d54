import { isJsonObject } from "../lib/json.js";

/** Settings of Kuma 0.3 that this version accepts and ignores, so that its configuration files keep working. */
interface Ineffective {
  /** A YAML path and everything below it. */
  readonly path: string;
  /** Prefix of its environment variables. */
  readonly variables: string;
  readonly reason: string;
}

const ineffective: readonly Ineffective[] = [
  { path: "guiServer", variables: "KUMA_GUI_SERVER_", reason: "there is no GUI server and nothing listens" },
  { path: "reports", variables: "KUMA_REPORTS_", reason: "usage is never reported to anyone" },
  { path: "adminServer", variables: "KUMA_ADMIN_SERVER_", reason: "there is no admin server" },
];

type Environment = Readonly<Record<string, string | undefined>>;

export interface Effective<T> {
  /** The rest, for the settings table to read. */
  readonly rest: T;
  readonly warnings: readonly string[];
}

/**
 * The environment without ineffective variables, and a warning for each that is set; `known` variables are effective.
 */
export function effectiveEnvironment(env: Environment, known: ReadonlySet<string>): Effective<Environment> {
  const warnings: string[] = [];
  const rest: [string, string | undefined][] = [];
  for (const [name, value] of Object.entries(env)) {
    const entry = known.has(name) ? undefined : ineffective.find(({ variables }) => name.startsWith(variables));
    if (entry === undefined) rest.push([name, value]);
    else warnings.push(`${name} has no effect: ${entry.reason}`);
  }
  return { rest: Object.fromEntries(rest), warnings };
}

/**
 * A configuration document without ineffective parts, and a warning for each; a part with settings at `known` paths is
 * effective.
 */
export function effectiveDocument(document: unknown, known: readonly string[]): Effective<unknown> {
  if (!isJsonObject(document)) return { rest: document, warnings: [] };
  const idle = ineffective.filter(({ path }) => !known.some((one) => `${one}.`.startsWith(`${path}.`)));
  const warnings: string[] = [];
  const prune = (node: Record<string, unknown>, prefix: string): Record<string, unknown> => {
    const kept: [string, unknown][] = [];
    for (const [key, value] of Object.entries(node)) {
      const path = prefix + key;
      const entry = idle.find((part) => part.path === path);
      if (entry !== undefined) warnings.push(`${path} has no effect: ${entry.reason}`);
      else if (!isJsonObject(value) || !idle.some((part) => part.path.startsWith(`${path}.`))) kept.push([key, value]);
      else {
        // A branch with only ineffective parts is removed: left empty, it would be reported as unknown.
        const below = prune(value, `${path}.`);
        if (Object.keys(below).length > 0) kept.push([key, below]);
      }
    }
    // Unlike an assignment, this handles __proto__ like any other name.
    return Object.fromEntries(kept);
  };
  return { rest: prune(document, ""), warnings };
}
