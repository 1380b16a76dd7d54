// Finds the npm packages in the executable from the files in its bundles.
import fs from "node:fs";
import path from "node:path";
import spdx from "spdx-license-list/full.js";

/** The package of the .proto files from which the code in proto-gen is generated. */
const protoSources = "node_modules/@grpc/grpc-js-xds";

/** The innermost package directory of a path, as a key in package-lock.json. */
function packageOf(source) {
  if (source.startsWith("proto-gen/")) return protoSources;
  return /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(source)?.[1];
}

/** The SPDX identifiers in a licence expression such as `(Apache-2.0 AND BSD-3-Clause)`. */
function identifiers(expression) {
  return expression.split(/[\s()]+/).filter((word) => word !== "" && !["AND", "OR", "WITH"].includes(word));
}

/** The licence texts in a package; without any, the standard text of each licence that it names. */
function licenceTexts(directory, { name, license }) {
  const files = fs.readdirSync(directory).filter((file) => /^(un)?licen[cs]e|^notice|^copying/i.test(file));
  if (files.length > 0) return files.sort().map((file) => fs.readFileSync(path.join(directory, file), "utf8").trim());
  return identifiers(license).map((id) => {
    const text = spdx[id]?.licenseText;
    if (text === undefined) throw new Error(`${name} comes without a licence text, and "${id}" is no SPDX licence`);
    return text.trim();
  });
}

/**
 * The packages that `sources` (paths relative to `root`, as in esbuild's output) belong to, sorted by name: name,
 * version, licence (SPDX expression), integrity (from package-lock.json) and licence texts.
 */
export function bundledPackages(root, sources) {
  const { packages } = JSON.parse(fs.readFileSync(path.join(root, "package-lock.json"), "utf8"));
  const keys = new Set(sources.map(packageOf).filter((key) => key !== undefined));
  return [...keys].sort().map((key) => {
    const directory = path.join(root, key);
    const own = JSON.parse(fs.readFileSync(path.join(directory, "package.json"), "utf8"));
    const { name, version, license, author, repository } = own;
    const locked = packages[key];
    if (locked?.version !== version) {
      throw new Error(`${key} is version ${version}, package-lock.json has ${locked?.version ?? "none"}: run "npm ci"`);
    }
    if (typeof license !== "string") throw new Error(`${name} ${version} names no licence in its package.json`);
    const holder = author?.name ?? author ?? `the authors of ${repository?.url ?? name}`;
    return { name, version, license, holder, integrity: locked.integrity, texts: licenceTexts(directory, own) };
  });
}
