import fs from "node:fs";

/** The README's blocks of shell commands below a heading of the second level, as they are printed. */
export function shellBlocks(heading: string, text = fs.readFileSync("README.md", "utf8")): string[] {
  const section = text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`));
  if (section === undefined) throw new Error(`the README has no section "${heading}"`);
  return [...section.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, block = ""]) => block);
}
