// A bundle and the pinned Node as one executable.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { cacheDirectory } from "./fetch-envoy.mjs";
import { pinnedNode } from "./pinned-node.mjs";

/** The pinned Node without symbols. Stripping must come before injection: afterwards it breaks the executable. */
function strippedNode() {
  const node = pinnedNode();
  const key = createHash("sha256").update(fs.readFileSync(node)).digest("hex").slice(0, 16);
  const stripped = path.join(cacheDirectory, `node-stripped-${key}`);
  if (fs.existsSync(stripped)) return stripped;
  fs.mkdirSync(cacheDirectory, { recursive: true });
  const work = `${stripped}.${process.pid}`;
  fs.copyFileSync(node, work);
  if (spawnSync("strip", [work], { stdio: "ignore" }).status !== 0) {
    fs.rmSync(work);
    console.log("  strip is not installed: the executable will be some 18 MB larger");
    return node;
  }
  fs.chmodSync(work, 0o755);
  fs.renameSync(work, stripped);
  return stripped;
}

/**
 * Makes one executable, `output`, of the pinned Node and the CommonJS file `bundled`; all paths absolute.
 * `assets` are files it carries along, by the name it reads them under.
 */
export async function executable(bundled, output, assets = {}) {
  const require = createRequire(import.meta.url);
  require("@yao-pkg/pkg/lib-es5/log.js").log.info = () => {};
  const sea = require("@yao-pkg/pkg/lib-es5/sea.js").default;
  await sea(bundled, {
    targets: [{ nodeRange: "node24", platform: "linux", arch: process.arch, output }],
    nodePath: strippedNode(),
    seaConfig: { useCodeCache: true, disableExperimentalSEAWarning: true, assets },
  });
  fs.chmodSync(output, 0o755);
}
