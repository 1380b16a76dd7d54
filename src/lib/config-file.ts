import { load } from "js-yaml";
import { UserError } from "./errors.js";

/** The text of a configuration file. */
export interface ConfigFile {
  readonly path: string;
  readonly text: string;
}

/** @throws UserError `settings.file` if it can't be read */
export async function readConfigFile(path: string): Promise<ConfigFile> {
  const { readFile } = await import("node:fs/promises");
  try {
    return { path, text: await readFile(path, "utf8") };
  } catch (error) {
    throw UserError.of("settings.file", { file: path }, { cause: error });
  }
}

/** The file's YAML document; an empty file is an empty map. Throws UserError("config-file.unparsable"). */
export function parseConfigFile({ path, text }: ConfigFile): unknown {
  try {
    return text.trim() === "" ? {} : load(text);
  } catch (error) {
    throw UserError.of("config-file.unparsable", { file: path, reason: error });
  }
}
