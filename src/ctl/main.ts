import { versionText, wantsDetails } from "../lib/version.js";

// Placeholder so that the door builds; the program's own author replaces it.
export async function main(args: string[]): Promise<number> {
  process.stdout.write(`${versionText(args[0] === "version" ? (wantsDetails(args.slice(1)) ?? false) : false)}\n`);
  return args[0] === "version" ? 0 : 1;
}
