// Writes the tables of settings and limits into the README, between their markers.
import { readFileSync, writeFileSync } from "node:fs";
import { limitsMarkdown } from "../src/cp/limits-page.js";
import { readSettings } from "../src/cp/settings.js";
import { settingsMarkdown } from "../src/cp/settings-pages.js";
import * as injector from "../src/injector/settings.js";
import * as pages from "../src/lib/settings-pages.js";

const readme = new URL("../README.md", import.meta.url);
const tables = {
  settings: settingsMarkdown(readSettings(undefined, {}).settings),
  "injector-settings": pages.settingsMarkdown(injector.table, injector.defaults),
  limits: limitsMarkdown(),
};
let text = readFileSync(readme, "utf8");
for (const [name, table] of Object.entries(tables)) {
  const between = new RegExp(`(<!-- ${name} -->\n)[\\s\\S]*?(<!-- /${name} -->)`);
  if (!between.test(text)) throw new Error(`README.md has no line <!-- ${name} --> with <!-- /${name} --> below it`);
  text = text.replace(between, (_, start: string, end: string) => `${start}${table}${end}`);
}
writeFileSync(readme, text);
