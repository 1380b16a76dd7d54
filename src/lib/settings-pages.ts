import { dump } from "js-yaml";
import { mask, type Origin, type SettingsTable } from "./settings.js";

// The pages are made of any program's table, whose own types say which value belongs to which key.
type AnySetting = SettingsTable[string];

/** The values of a table's settings by their keys. */
export type Shown = Readonly<Record<string, unknown>>;

const inline = (value: unknown) => (typeof value === "string" && value !== "" ? value : JSON.stringify(value));

const shownOpenly = ({ show }: AnySetting, value: unknown): unknown => (show === undefined ? value : show(value));

/** A value in its form in YAML; secrets are masked. */
export const shownValue = (setting: AnySetting, value: unknown): unknown =>
  setting.secret === true ? mask : shownOpenly(setting, value);

/** The settings as in the YAML file, with secrets masked. */
export function settingsDocument(table: SettingsTable, values: Shown): Record<string, unknown> {
  const document: Record<string, unknown> = {};
  for (const [key, setting] of Object.entries(table)) {
    const parts = setting.path.split(".");
    const last = parts.pop() ?? "";
    let place = document;
    for (const part of parts) {
      place[part] ??= {};
      place = place[part] as Record<string, unknown>;
    }
    place[last] = shownValue(setting, values[key]);
  }
  return document;
}

/** Every setting with its value and origin, in aligned columns. */
export function settingsTable(table: SettingsTable, values: Shown, origins: Readonly<Record<string, Origin>>): string {
  const rows = Object.entries(table).map(([key, setting]) => [
    setting.path,
    setting.env.join(", "),
    inline(shownValue(setting, values[key])),
    origins[key] ?? "",
  ]);
  const lines = [["SETTING", "VARIABLE", "VALUE", "FROM"], ...rows];
  const widths = [0, 1, 2].map((column) => Math.max(...lines.map((cells) => cells[column]?.length ?? 0)));
  return lines
    .map((cells) => `${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("   ")}\n`)
    .join("");
}

/** The settings as a YAML configuration file. */
export function settingsYaml(table: SettingsTable, values: Shown): string {
  return dump(settingsDocument(table, values), { noRefs: true, lineWidth: -1 });
}

interface Leaf {
  readonly setting: AnySetting;
  readonly preset: unknown;
}
type Branch = Map<string, Branch | Leaf>;

/** A configuration file with every setting at its default, each with a comment that describes it. */
export function exampleYaml(table: SettingsTable, defaults: Shown): string {
  const root: Branch = new Map();
  for (const [key, setting] of Object.entries(table)) {
    const parts = setting.path.split(".");
    const last = parts.pop() ?? "";
    let place = root;
    for (const part of parts) {
      const next = place.get(part);
      const branch: Branch = next instanceof Map ? next : new Map();
      place.set(part, branch);
      place = branch;
    }
    place.set(last, { setting, preset: shownOpenly(setting, defaults[key]) });
  }
  return branchText(root, "");
}

function branchText(branch: Branch, indent: string): string {
  return [...branch]
    .map(([name, node]) => {
      if (node instanceof Map) return `${indent}${name}:\n${branchText(node, `${indent}  `)}`;
      const { sentence, env } = node.setting;
      const value = dump({ [name]: node.preset }, { lineWidth: -1 }).replaceAll(/^(?=.)/gm, indent);
      return `${indent}# ${sentence}\n${indent}# Variable: ${env.join(", ")}\n${value}`;
    })
    .join("");
}

/** The settings as a Markdown table for the README. */
export function settingsMarkdown(table: SettingsTable, defaults: Shown): string {
  const cell = (text: string) => text.replaceAll("|", "\\|");
  const rows = Object.entries(table).map(([key, setting]) => {
    const variables = setting.env.map((name) => `\`${name}\``).join(", ");
    const preset = inline(shownOpenly(setting, defaults[key]));
    return `| \`${setting.path}\` | ${variables} | \`${preset}\` | ${cell(setting.sentence)} |\n`;
  });
  return `| YAML key | variable | default | what it is for |\n|---|---|---|---|\n${rows.join("")}`;
}
