import { mkdir, readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { text } from "../../lib/cli.js";
import { UserError } from "../../lib/errors.js";
import { build } from "../../lib/version.js";
import type { Registry } from "../../resources/registry.js";
import { command } from "../globals.js";
import { installOptionTable } from "../install/flags.js";

export const installHelmChart = (registry: Registry) =>
  command({
    path: "install helm-chart",
    summary: "Write a Helm chart of the Control Plane and the injector to a directory",
    details:
      "Its values are the flags of `kumactl install control-plane` in camel case: --replicas is replicas, " +
      "--injector-failure-policy is injectorFailurePolicy. The namespace is that of the release.",
    examples: [
      "kumactl install helm-chart --directory kuma",
      "helm install kuma ./kuma --namespace kuma-system --create-namespace --set replicas=3",
    ],
    flags: {
      directory: text("directory", {
        placeholder: "DIR",
        required: true,
        help: "where to write the chart; has to be empty or not to exist",
      }),
    },
    async run({ flags: { directory }, io }) {
      const { helmChart } = await import("../../kubernetes/manifests/helm-chart.js");
      const files = helmChart({
        registry,
        options: installOptionTable,
        version: build.version,
      });
      await writeFiles(directory, files);
      io.stdout.write(`Chart saved in: ${directory}\n`);
    },
  });

/** Not `recursive`: that never returns for a path in which the system creates no directories, such as /proc. */
async function makeDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
}

async function writeFiles(directory: string, files: ReadonlyMap<string, string>): Promise<void> {
  try {
    await makeDirectory(directory);
    if ((await readdir(directory)).length > 0) throw new Error("the directory is not empty");
    for (const [name, content] of files) {
      const file = path.join(directory, name);
      await makeDirectory(path.dirname(file));
      await writeFile(file, content, { flag: "wx" });
    }
  } catch (error) {
    throw UserError.of("install.unwritable", { directory, reason: error });
  }
}
