// What every release consists of: the executable and Envoy for each architecture, and their documentation.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { generate } from "../../proto-gen/generate.mjs";
import { bundle } from "../bundle.mjs";
import { executable, runWords } from "../executable.mjs";
import { fetchEnvoy, pins, sha256 } from "../fetch-envoy.mjs";
import { pinnedNode, root, step } from "../pinned-node.mjs";
import { hasUncommittedChanges, releaseTime, stamp } from "../stamp.mjs";
import { billOfMaterials } from "./bill-of-materials.mjs";
import { bundledPackages } from "./bundled-packages.mjs";
import { envoyParts } from "./envoy-parts.mjs";
import { noticeText } from "./notice.mjs";

/** Versions of interfaces in process.versions, which are not parts of Node, and Node itself. */
const noParts = ["node", "modules", "napi"];

function nodeFacts() {
  const { packages } = JSON.parse(fs.readFileSync(path.join(root, "package-lock.json"), "utf8"));
  const parts = Object.entries(process.versions).filter(([name, version]) => !noParts.includes(name) && version !== "");
  return (arch) => {
    const { version, integrity } = packages[`node_modules/node-linux-${arch}`];
    return { version, integrity, parts: Object.fromEntries(parts) };
  };
}

/** The output of an architecture's executable for these arguments. */
export function output({ arch, kuma }, words) {
  const [program, ...args] = [...runWords(arch, kuma), ...words];
  const { status, error, stdout, stderr } = spawnSync(program, args, {
    encoding: "utf8",
    env: { HOME: "/nonexistent" },
  });
  if (status === 0) return stdout;
  throw new Error(`kuma ${words.join(" ")}, for ${arch}, failed: ${error?.message ?? stderr.trim()}`);
}

/**
 * Builds the executables in `directory`. Returns the version, the timestamp of this commit's release, the text of
 * LICENSE, and for each architecture the paths of `kuma` and `envoy`, the text of NOTICE and a function that makes the
 * SBOM's text from the Debian packages beside them. A release only contains the pinned Envoy. It comes first, because a
 * binary that must not be used stops everything.
 */
export async function makeContents(architectures, directory) {
  const { version, gitCommit: commit } = stamp();
  const time = releaseTime();
  if (hasUncommittedChanges())
    console.error(`Warning: some files are not those of commit ${commit}, whose name this bears`);
  const envoys = await step("Envoy's checksums are right", () =>
    Promise.all(architectures.map((arch) => fetchEnvoy({ target: `linux-${arch}`, environment: {} }))),
  );
  await step("Generated protobuf code", () => generate());
  const { door, assets, sources } = await step("Bundled", () => bundle(directory));
  const packages = bundledPackages(root, sources);
  const node = nodeFacts();
  const text = (...names) => fs.readFileSync(path.join(...names), "utf8");
  const head = text(root, "NOTICE");
  const nodeLicence = text(path.dirname(path.dirname(pinnedNode())), "LICENSE");
  const builds = [];
  for (const [index, arch] of architectures.entries()) {
    const kuma = path.join(directory, `kuma-${arch}`);
    await step(`Made the executable for ${arch}`, () => executable(door, kuma, { assets, arch, mustStrip: true }));
    const said = output({ arch, kuma }, ["version"]).trim();
    if (said !== version) throw new Error(`the executable for ${arch} says it is version ${said}, not ${version}`);
    const parts = envoyParts(envoys[index]);
    const envoy = { version: pins.version, commit: pins.commit, sha256: pins.sha256[`linux-${arch}`], parts };
    const own = { version, commit, sha256: sha256(kuma) };
    builds.push({
      arch,
      kuma,
      envoy: envoys[index],
      notice: noticeText({ head, packages, nodeLicence, envoy }),
      billOfMaterials: (libraries = []) =>
        billOfMaterials({ kuma: own, packages, node: node(arch), envoy, libraries, time }),
    });
  }
  return { version, commit, time, licence: text(root, "LICENSE"), builds };
}
