import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

function run(program: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd, encoding: "utf8", maxBuffer: 1 << 26 });
  if (status !== 0) throw new Error(`${program} ${args.join(" ")}: ${error?.message ?? stderr}`);
  return stdout;
}

/** Copies this checkout to `directory`, including uncommitted changes, with its own node_modules. */
export function checkoutTo(directory: string): void {
  run("git", ["clone", "--quiet", "--local", ".", directory], ".");
  const list = (...words: string[]) =>
    run("git", ["ls-files", "-z", ...words], ".")
      .split("\0")
      .slice(0, -1);
  for (const name of list("--cached", "--others", "--exclude-standard")) {
    if (fs.existsSync(name)) fs.cpSync(name, path.join(directory, name));
    else fs.rmSync(path.join(directory, name), { force: true });
  }
  const links = spawnSync("cp", ["-al", "node_modules", directory], { encoding: "utf8" });
  // Hard links don't work across file systems.
  if (links.status !== 0) run("cp", ["-a", "node_modules", directory], ".");
}
