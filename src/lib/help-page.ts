import { type Command, type Flag, type Flags, isHidden, type Node } from "./command.js";

/** Two columns: a name and its description. */
type Row = readonly [name: string, about: string];

function section(title: string, rows: readonly Row[]): string[] {
  if (rows.length === 0) return [];
  const width = Math.max(...rows.map(([name]) => name.length));
  return [`${title}:`, ...rows.map(([name, about]) => `  ${name.padEnd(width)}   ${about}`.trimEnd()), ""];
}

function flagRow(flag: Flag<unknown>): Row {
  const short = flag.short === undefined ? "    " : `-${flag.short}, `;
  const value = flag.placeholder === "" ? "" : ` ${flag.placeholder}`;
  const shown =
    typeof flag.default === "string" && flag.default !== ""
      ? ` (default "${flag.default}")`
      : typeof flag.default === "number"
        ? ` (default ${flag.default})`
        : "";
  return [`${short}--${flag.name}${value}`, `${flag.help}${shown}${flag.required ? " (required)" : ""}`];
}

function flagRows(flags: Flags, more: readonly Row[] = []): Row[] {
  const bare = (name: string) => name.replace(/^(-\w, | +)--/, "");
  return [...Object.values(flags).map(flagRow), ...more].sort(([a], [b]) => (bare(a) < bare(b) ? -1 : 1));
}

function argWords({ args = [] }: Command): readonly string[] {
  return args === "any" ? ["[ARGUMENT...]"] : args;
}

/** `Usage:` lines, indented. */
function usageLines(program: string, node: Node): string[] {
  const name = [program, ...node.words].join(" ");
  const { command, children } = node;
  const direct = command ? [[name, ...argWords(command), "[flags]"].join(" ")] : [];
  return [...direct, ...(children.length > 0 ? [`${name} [command]`] : [])].map((line) => `  ${line}`);
}

/** The usage that is printed after an error in the command line. */
export function usagePage(program: string, node: Node, globalFlags: Flags): string {
  return body(program, node, globalFlags).join("\n");
}

function body(program: string, node: Node, globalFlags: Flags): string[] {
  const name = [program, ...node.words].join(" ");
  const { command, children } = node;
  const help: Row = ["-h, --help", `help for ${node.words.at(-1) ?? program}`];
  const others =
    node.aliases.length === 0 ? [] : ["Aliases:", `  ${[node.words.at(-1), ...node.aliases].join(", ")}`, ""];
  const examples = command?.examples ?? [];
  const listed = children
    .filter((child) => !isHidden(child))
    .map((child): Row => [child.words.at(-1) ?? "", child.summary])
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const own = command?.flags ?? {};
  const isRoot = node.words.length === 0;
  return [
    "Usage:",
    ...usageLines(program, node),
    "",
    ...others,
    ...(examples.length === 0 ? [] : ["Examples:", ...examples.map((line) => `  ${line}`), ""]),
    ...section("Available Commands", listed),
    ...section("Flags", flagRows(isRoot ? { ...own, ...globalFlags } : own, [help])),
    ...(isRoot ? [] : section("Global Flags", flagRows(globalFlags))),
    ...(children.length === 0 ? [] : [`Use "${name} [command] --help" for more information about a command.`, ""]),
  ];
}

/** The help of a command, a group or the program: description, usage, commands, flags, global flags. */
export function helpPage(program: string, node: Node, globalFlags: Flags): string {
  const about = [node.summary, ...(node.details === undefined ? [] : ["", node.details]), ""];
  return [...about, ...body(program, node, globalFlags)].join("\n");
}
