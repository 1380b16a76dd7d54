import * as pages from "../lib/settings-pages.js";
import { type ReadSettings, type Settings, type Table, table as usualTable } from "./settings.js";

/** Every setting with its value and origin, in aligned columns. */
export const settingsTable = ({ settings, table, origins }: ReadSettings): string =>
  pages.settingsTable(table, settings, origins);

/** The settings as a YAML configuration file. */
export const settingsYaml = ({ settings, table }: ReadSettings): string => pages.settingsYaml(table, settings);

/** A configuration file with every setting at its default, each with a comment that describes it. */
export const exampleYaml = (defaults: Settings, table: Table = usualTable): string =>
  pages.exampleYaml(table, defaults);

/** The settings as a Markdown table for the README. */
export const settingsMarkdown = (defaults: Settings, table: Table = usualTable): string =>
  pages.settingsMarkdown(table, defaults);
