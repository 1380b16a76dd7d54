// NOTICE: who made what is in a release, and under which licences.

const rule = "-".repeat(80);

/**
 * The file's text: `head` is the repository's own NOTICE, `packages` come from bundledPackages, `nodeLicence`
 * is the text that comes with Node. Envoy's licence, Apache 2.0, is the text of our own LICENSE.
 */
export function noticeText({ head, packages, nodeLicence }) {
  const parts = packages.map(({ name, version, license, holder, texts }) => {
    const title = `${name} ${version}\nLicence: ${license}\nBy: ${holder}`;
    return [title, ...texts].join("\n\n");
  });
  parts.push(`Node.js\n\n${nodeLicence.trim()}`);
  return (
    `${head.trim()}\n\n` +
    "Apache License 2.0 is the text of the file LICENSE, which is ours as well as Envoy's.\n" +
    "The executable also holds the npm packages below, followed by Node's licence and those of its parts.\n\n" +
    parts.map((part) => `${rule}\n${part}\n`).join("\n")
  );
}
