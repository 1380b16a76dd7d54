// NOTICE: the authors and licences of what is in a release.

const rule = "-".repeat(80);

/** The libraries in Envoy. Neither its wheel nor its binary contains their licence texts. */
function linkedText({ commit, parts }) {
  const lines = parts.map(({ name, version, license }) => {
    const licence = license === undefined ? "" : `, ${license}`;
    return `  ${name}${version === undefined ? "" : ` ${version}`}${licence}`;
  });
  return (
    "Libraries that are linked into Envoy, as far as its binary shows them, with the versions and licences that are\n" +
    `known:\n\n${lines.join("\n")}\n\n` +
    "This list is not complete, and the texts of these licences are not here: what Envoy is distributed with has neither.\n" +
    "Envoy's sources have both, or say where they are: https://github.com/envoyproxy/envoy, below bazel/ of commit\n" +
    `${commit}.`
  );
}

/**
 * The text of NOTICE: `head` is the repository's own NOTICE, `packages` come from bundledPackages, `nodeLicence` is the
 * licence text in Node's package, `envoy` has its commit and parts. Envoy's licence, Apache 2.0, is that of our own
 * LICENSE.
 */
export function noticeText({ head, packages, nodeLicence, envoy }) {
  const parts = packages.map(({ name, version, license, holder, texts }) => {
    const title = `${name} ${version}\nLicence: ${license}\nBy: ${holder}`;
    return [title, ...texts].join("\n\n");
  });
  parts.push(`Node.js\n\n${nodeLicence.trim()}`);
  return (
    `${head.trim()}\n\n` +
    `${linkedText(envoy)}\n\n` +
    "Apache License 2.0 is the text of the file LICENSE, which is ours as well as Envoy's.\n" +
    "The executable also holds the npm packages below, followed by Node's licence and those of its parts.\n\n" +
    parts.map((part) => `${rule}\n${part}\n`).join("\n")
  );
}
