import { text } from "../../lib/cli.js";
import type { Registry } from "../../resources/registry.js";
import { command } from "../globals.js";
import { namespaceFlag, optionFlags, optionsOf, pairFlags } from "../install/flags.js";
import { readSource } from "../source.js";

export const installControlPlane = (registry: Registry) =>
  command({
    path: "install control-plane",
    summary: "Print what Kubernetes needs to run the Control Plane and the injector",
    details:
      "Certificates of the servers are made anew each time, unless they are given. To apply the output again, in an " +
      "upgrade for example, keep those of the installation with --tls-secrets: sidecars reconnect when the certificate " +
      "of the SDS server changes, and custom resources can't be changed until the Control Plane has the new one.",
    examples: [
      "kumactl install control-plane | kubectl apply -f -",
      "kubectl get secrets -n kuma-system -o yaml | kumactl install control-plane --tls-secrets - | kubectl apply -f -",
    ],
    flags: {
      namespace: namespaceFlag,
      ...optionFlags,
      ...pairFlags,
      tlsSecrets: text("tls-secrets", {
        placeholder: "FILE",
        help: "Secrets of an installation, whose certificates are kept; - for standard input",
      }),
    },
    async run({ flags, io }) {
      const options = optionsOf(flags);
      const { installationPairs } = await import("../install/pairs.js");
      const { keptPairs } = await import("../install/kept-pairs.js");
      const { controlPlaneManifests } = await import("../../kubernetes/manifests/control-plane.js");
      const { documentsText } = await import("../../kubernetes/manifests/yaml.js");
      const { tlsSecrets } = flags;
      const kept = tlsSecrets === undefined ? undefined : await keptPairs(tlsSecrets, await readSource(tlsSecrets, io));
      const pairs = await installationPairs({
        options,
        texts: flags,
        kept,
        now: new Date(),
        warn: (sentence) => io.stderr.write(`Warning: ${sentence}\n`),
      });
      io.stdout.write(documentsText(controlPlaneManifests({ registry, options, pairs })));
    },
  });
