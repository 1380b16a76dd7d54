import { crds } from "../../kubernetes/crds.js";
import { registry } from "../../resources/registry.js";
import { command } from "../globals.js";
import { toYaml } from "../yaml.js";

export const installCrds = command({
  path: "install crds",
  summary: "Print the CustomResourceDefinitions of Kuma for Kubernetes",
  examples: ["kumactl install crds | kubectl apply -f -"],
  flags: {},
  async run({ io }) {
    for (const crd of crds(registry)) io.stdout.write(`---\n${await toYaml(crd)}`);
  },
});
