// The SBOM of a release, in CycloneDX 1.5 (JSON).
import spdx from "spdx-license-list";

/** An SPDX identifier, or an expression of several or with one of our own (LicenseRef-…). */
function licences(expression) {
  const bare = expression.replace(/^\(([^()]*)\)$/, "$1");
  return Object.hasOwn(spdx, bare) ? [{ license: { id: bare } }] : [{ expression: bare }];
}

/** Converts npm's `sha512-BASE64` to a CycloneDX hash. */
function integritySum(integrity) {
  const [, algorithm, base64] = /^(sha\d+)-(.*)$/.exec(integrity);
  return { alg: algorithm.replace("sha", "SHA-"), content: Buffer.from(base64, "base64").toString("hex") };
}

const sha256Sum = (content) => ({ alg: "SHA-256", content });

function npmComponent({ name, version, license, integrity }) {
  const purl = `pkg:npm/${name.replace("@", "%40")}@${version}`;
  return {
    type: "library",
    "bom-ref": purl,
    name,
    version,
    licenses: licences(license),
    purl,
    hashes: [integritySum(integrity)],
  };
}

/** Node and the libraries that it was built with. */
function nodeComponent({ version, integrity, parts }) {
  return {
    type: "platform",
    "bom-ref": `pkg:generic/node@${version}`,
    name: "node",
    version,
    licenses: licences("MIT"),
    cpe: `cpe:2.3:a:nodejs:node.js:${version}:*:*:*:*:*:*:*`,
    purl: `pkg:generic/node@${version}`,
    hashes: [integritySum(integrity)],
    components: Object.keys(parts)
      .sort()
      .map((name) => ({
        type: "library",
        "bom-ref": `pkg:generic/node@${version}#${name}`,
        name,
        version: parts[name],
      })),
  };
}

/** A library that is linked into Envoy. The version is omitted when the binary does not contain it. */
function linkedComponent({ name, license, ...facts }) {
  const ref = `envoy#${name}${facts.version === undefined ? "" : `@${facts.version}`}`;
  const common = { type: "library", "bom-ref": ref, name, ...facts };
  return license === undefined ? common : { ...common, licenses: licences(license) };
}

function envoyComponent({ version, commit, sha256, parts }) {
  const purl = `pkg:github/envoyproxy/envoy@v${version}`;
  return {
    type: "application",
    "bom-ref": purl,
    name: "envoy",
    version,
    licenses: licences("Apache-2.0"),
    cpe: `cpe:2.3:a:envoyproxy:envoy:${version}:*:*:*:*:*:*:*`,
    purl,
    hashes: [sha256Sum(sha256)],
    properties: [{ name: "commit", value: commit }],
    components: parts.map(linkedComponent),
  };
}

/** A Debian package with files in the image; `distribution` is its ID and version, such as debian and 12. */
function debianComponent({ name, version, architecture, license, sha256, distribution }) {
  const qualifiers = `arch=${architecture}&distro=${distribution.id}-${distribution.version}`;
  const purl = `pkg:deb/${distribution.id}/${encodeURIComponent(name)}@${encodeURIComponent(version)}?${qualifiers}`;
  return {
    type: "library",
    "bom-ref": purl,
    name,
    version,
    licenses: licences(license),
    purl,
    hashes: [sha256Sum(sha256)],
  };
}

/**
 * The SBOM's text.
 * - `kuma`: version, commit, and SHA-256 of the executable
 * - `packages`: those in the executable, from bundledPackages
 * - `node`: version, npm integrity, and `parts` (name to version, as process.versions has them)
 * - `envoy`: version, commit and SHA-256 of the binary, and `parts` from envoyParts
 * - `libraries`: Debian packages, which only an image has
 */
export function billOfMaterials({ kuma, packages, node, envoy, libraries, time }) {
  const purl = `pkg:generic/kuma@${kuma.version}`;
  const ofEnvoy = envoyComponent(envoy);
  const components = [...packages.map(npmComponent), nodeComponent(node), ofEnvoy, ...libraries.map(debianComponent)];
  const document = {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: {
      timestamp: time.toISOString(),
      component: {
        type: "application",
        "bom-ref": purl,
        name: "kuma",
        version: kuma.version,
        licenses: licences("Apache-2.0"),
        purl,
        hashes: [sha256Sum(kuma.sha256)],
        properties: [{ name: "commit", value: kuma.commit }],
      },
    },
    components,
    dependencies: [
      { ref: purl, dependsOn: components.map((component) => component["bom-ref"]) },
      ...components.map((component) => ({ ref: component["bom-ref"] })),
    ],
    // What is linked into Envoy is only known as far as its binary shows it.
    compositions: [{ aggregate: "incomplete", assemblies: [ofEnvoy["bom-ref"]] }],
  };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}
