// The SBOM of a release, in the form of CycloneDX 1.5 (JSON).

/** One SPDX identifier, or an expression of several. */
function licences(expression) {
  const bare = expression.replace(/^\(([^()]*)\)$/, "$1");
  return /^[\w.+-]+$/.test(bare) ? [{ license: { id: bare } }] : [{ expression: bare }];
}

/** npm's `sha512-BASE64` as CycloneDX writes a sum. */
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

/** Node and, within it, the libraries that it was built with. */
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

function envoyComponent({ version, commit, sha256 }) {
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
  };
}

/** A Debian package of which the image holds files; `distribution` is id and version, such as debian and 12. */
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
 * - `envoy`: version, commit and SHA-256 of the binary
 * - `libraries`: Debian packages, which only an image has
 */
export function billOfMaterials({ kuma, packages, node, envoy, libraries, time }) {
  const purl = `pkg:generic/kuma@${kuma.version}`;
  const components = [
    ...packages.map(npmComponent),
    nodeComponent(node),
    envoyComponent(envoy),
    ...libraries.map(debianComponent),
  ];
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
  };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}
