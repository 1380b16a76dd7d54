// npm run release [-- x64|arm64]: kuma-VERSION-linux-ARCHITECTURE.tar.gz and SHA256SUMS, in dist/release.
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { chosenArchitectures } from "./architectures.mjs";
import { ensureInstalled, pinnedNode, root, runPinned, script, step } from "./pinned-node.mjs";

const directory = path.join(root, "dist", "release");

await script(async () => {
  const words = process.argv.slice(2);
  const architectures = chosenArchitectures(words);
  ensureInstalled();
  if (process.execPath !== fs.realpathSync(pinnedNode())) {
    return runPinned([fileURLToPath(import.meta.url), ...words]);
  }
  const { makeContents } = await import("./release/contents.mjs");
  const { sumsText } = await import("./release/sums.mjs");
  const { writeTar } = await import("./release/tar.mjs");
  const { tarballEntries } = await import("./release/tree.mjs");

  // Files from an earlier commit must not look like part of this release.
  fs.rmSync(directory, { recursive: true, force: true });
  const work = path.join(directory, "work");
  fs.mkdirSync(work, { recursive: true });
  try {
    const contents = await makeContents(architectures, work);
    const { version, time, builds } = contents;
    const tarballs = await step("Packed", () =>
      Promise.all(
        builds.map(async (build) => {
          const name = `kuma-${version}-linux-${build.arch}.tar.gz`;
          const options = { time, compress: true };
          return { name, ...(await writeTar(path.join(directory, name), tarballEntries(contents, build), options)) };
        }),
      ),
    );
    fs.writeFileSync(path.join(directory, "SHA256SUMS"), sumsText(tarballs));
    for (const { name, size } of tarballs) console.log(`dist/release/${name}  ${(size / 1e6).toFixed(1)} MB`);
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
});
