// Writes the table of kuma-cp's settings into the README, between its markers.
import { readFileSync, writeFileSync } from "node:fs";
import { readSettings } from "../src/cp/settings.js";
import { settingsMarkdown } from "../src/cp/settings-pages.js";

const readme = new URL("../README.md", import.meta.url);
const text = readFileSync(readme, "utf8");
const between = /(<!-- settings -->\n)[\s\S]*?(<!-- \/settings -->)/;
if (!between.test(text)) throw new Error("README.md has no line <!-- settings --> with <!-- /settings --> below it");
const table = settingsMarkdown(readSettings(undefined, {}).settings);
writeFileSync(
  readme,
  text.replace(between, (_, start: string, end: string) => `${start}${table}${end}`),
);
