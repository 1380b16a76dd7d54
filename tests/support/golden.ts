import fs from "node:fs";
import path from "node:path";

export const goldenRoot = path.join(import.meta.dirname, "..", "..", "fixtures", "golden");

/** Compares exactly with a stored text, or writes it when UPDATE_GOLDEN=1. */
export function golden(name: string, actual: string): { readonly actual: string; readonly expected: string } {
  const file = path.join(goldenRoot, name);
  if (process.env.UPDATE_GOLDEN === "1") {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, actual);
  }
  return {
    actual,
    expected: fs.existsSync(file) ? fs.readFileSync(file, "utf8") : `${file} is missing: run with UPDATE_GOLDEN=1`,
  };
}
