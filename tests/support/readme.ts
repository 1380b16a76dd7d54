import fs from "node:fs";

/** The README's code blocks in a language below a second-level heading, exactly as printed. */
export function codeBlocks(heading: string, language: string, text = fs.readFileSync("README.md", "utf8")): string[] {
  const section = text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`));
  if (section === undefined) throw new Error(`the README has no section "${heading}"`);
  const blocks = section.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, "gm"));
  return [...blocks].map(([, block = ""]) => block);
}

/** The README's blocks of shell commands below a heading. */
export const shellBlocks = (heading: string, text?: string): string[] => codeBlocks(heading, "sh", text);
