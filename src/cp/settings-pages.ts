import { dump } from "js-yaml";
import {
  keysOf,
  type ReadSettings,
  type Settings,
  settingsDocument,
  shown,
  shownDefault,
  type Table,
  table as usualTable,
} from "./settings.js";

const inline = (value: unknown) => (typeof value === "string" && value !== "" ? value : JSON.stringify(value));

/** Every setting with its value and origin, in aligned columns. */
export function settingsTable({ settings, table, origins }: ReadSettings): string {
  const rows = keysOf(table).map((key) => [
    table[key].path,
    table[key].env.join(", "),
    inline(shown(key, settings, table)),
    origins[key],
  ]);
  const lines = [["SETTING", "VARIABLE", "VALUE", "FROM"], ...rows];
  const widths = [0, 1, 2].map((column) => Math.max(...lines.map((cells) => cells[column]?.length ?? 0)));
  return lines
    .map((cells) => `${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("   ")}\n`)
    .join("");
}

/** The settings as a YAML configuration file. */
export function settingsYaml({ settings, table }: ReadSettings): string {
  return dump(settingsDocument(settings, table), { noRefs: true, lineWidth: -1 });
}

type Branch = Map<string, Branch | keyof Settings>;

/** A configuration file with every setting at its default, each with a comment that describes it. */
export function exampleYaml(defaults: Settings, table: Table = usualTable): string {
  const root: Branch = new Map();
  for (const key of keysOf(table)) {
    const parts = table[key].path.split(".");
    const last = parts.pop() ?? "";
    let place = root;
    for (const part of parts) {
      const next = place.get(part);
      const branch: Branch = next instanceof Map ? next : new Map();
      place.set(part, branch);
      place = branch;
    }
    place.set(last, key);
  }
  return branchText(root, "", defaults, table);
}

function branchText(branch: Branch, indent: string, defaults: Settings, table: Table): string {
  return [...branch]
    .map(([name, node]) => {
      if (node instanceof Map) return `${indent}${name}:\n${branchText(node, `${indent}  `, defaults, table)}`;
      const { sentence, env } = table[node];
      const value = dump({ [name]: shownDefault(node, defaults, table) }, { lineWidth: -1 }).replaceAll(
        /^(?=.)/gm,
        indent,
      );
      return `${indent}# ${sentence}\n${indent}# Variable: ${env.join(", ")}\n${value}`;
    })
    .join("");
}

/** The settings as a Markdown table for the README. */
export function settingsMarkdown(defaults: Settings, table: Table = usualTable): string {
  const cell = (text: string) => text.replaceAll("|", "\\|");
  const rows = keysOf(table).map((key) => {
    const { path, env, sentence } = table[key];
    const variables = env.map((name) => `\`${name}\``).join(", ");
    return `| \`${path}\` | ${variables} | \`${inline(shownDefault(key, defaults, table))}\` | ${cell(sentence)} |\n`;
  });
  return `| YAML key | variable | default | what it is for |\n|---|---|---|---|\n${rows.join("")}`;
}
