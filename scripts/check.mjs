// Types, lint and the import arrows.

import { spawnSync } from "node:child_process";
import path from "node:path";
import { generate } from "../proto-gen/generate.mjs";
import { violations } from "./arrows.mjs";
import { ensureInstalled, root, script } from "./pinned-node.mjs";

/** Excludes the fixtures, whose formatting is part of what they show. */
const linted = ["src", "tests", "scripts", "proto-gen", "build.mjs", "package.json", "tsconfig.json", "biome.json"];

await script(async () => {
  ensureInstalled();
  generate();
  const modules = path.join(root, "node_modules");
  const tool = (file, ...args) =>
    spawnSync(path.join(modules, file), args, { cwd: root, stdio: "inherit" }).status === 0;
  const biome = path.join("@biomejs", `cli-linux-${process.arch}`, "biome");
  const results = [
    tool(path.join(".bin", "tsc"), "-p", "."),
    tool(biome, "check", "--diagnostic-level=warn", "--error-on-warnings", ...linted),
  ];
  const broken = await violations(path.join(root, "src"));
  for (const line of broken) console.error(line);
  return results.every(Boolean) && broken.length === 0 ? 0 : 1;
});
