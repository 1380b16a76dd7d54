// The content of a release tarball.
import fs from "node:fs";
import path from "node:path";
import { root } from "../pinned-node.mjs";
import { programs } from "../programs.mjs";
import { output } from "./contents.mjs";
import { examples } from "./examples.mjs";
import { entrySums } from "./sums.mjs";

const completions = {
  bash: "completions/bash/kumactl",
  zsh: "completions/zsh/_kumactl",
  fish: "completions/fish/kumactl.fish",
};

/** The repository's files that are copied unchanged. */
function verbatim() {
  const packaging = path.join(root, "packaging");
  const units = fs.readdirSync(path.join(packaging, "systemd"));
  return [
    ...["README.md", "CHANGELOG.md", "LICENSE"].map((name) => ({ name, file: path.join(root, name) })),
    { name: "install.sh", file: path.join(packaging, "install.sh"), mode: 0o755 },
    ...units.map((name) => ({ name: `systemd/${name}`, file: path.join(packaging, "systemd", name) })),
  ];
}

/** The entries of the tarball for one of `contents.builds`, in a directory named after the version. */
export function tarballEntries({ version }, build) {
  const readme = fs.readFileSync(path.join(root, "README.md"), "utf8");
  const documents = path.join(root, "fixtures", "product-documentation");
  const files = [
    { name: "bin/kuma", file: build.kuma, mode: 0o755 },
    { name: "bin/envoy", file: build.envoy, mode: 0o755 },
    ...programs.map((program) => ({ name: `bin/${program}`, link: "kuma" })),
    { name: "conf/kuma-cp.conf.yaml", data: output(build, ["cp", "config", "--example"]) },
    ...examples(documents, readme).map(({ name, data }) => ({ name: `examples/${name}`, data })),
    ...Object.entries(completions).map(([shell, name]) => ({
      name,
      data: output(build, ["ctl", "completion", shell]),
    })),
    ...verbatim(),
    { name: "NOTICE", data: build.notice },
    { name: "sbom.cdx.json", data: build.billOfMaterials() },
  ];
  const all = [...files, { name: "SHA256SUMS", data: entrySums(files) }];
  return all.map((entry) => ({ ...entry, name: `kuma-${version}/${entry.name}` }));
}
