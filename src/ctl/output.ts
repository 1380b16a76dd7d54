import { text } from "../lib/cli.js";
import { UserError } from "../lib/errors.js";
import { nearest } from "../lib/suggest.js";
import { visibleJson } from "../lib/visible.js";
import { toYaml } from "./yaml.js";

const formats = ["table", "yaml", "json"] as const;
export type Format = (typeof formats)[number];

export const outputFlag = text("output", {
  short: "o",
  help: "output format: one of table|yaml|json",
  default: "table",
  choices: formats,
});

export function parseFormat(name: string): Format {
  const format = formats.find((known) => known === name);
  if (format) return format;
  const meant = nearest(name, formats);
  throw UserError.of("output.unknown", { format: name, hint: meant === undefined ? "" : `; did you mean "${meant}"?` });
}

/** Renders a value as the API returns it. */
export async function renderValue(format: "yaml" | "json", value: unknown): Promise<string> {
  return format === "json" ? `${visibleJson(JSON.stringify(value, null, 2))}\n` : toYaml(value);
}

/** Renders a list as the API returns it. `table` is only called for the table format. */
export async function renderList(format: Format, items: readonly unknown[], table: () => string): Promise<string> {
  return format === "table" ? table() : renderValue(format, { items });
}
