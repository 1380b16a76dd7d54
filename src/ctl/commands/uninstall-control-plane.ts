import { toggle } from "../../lib/cli.js";
import type { Registry } from "../../resources/registry.js";
import { command } from "../globals.js";
import { namespaceFlag, optionFlags, optionsOf } from "../install/flags.js";

export const uninstallControlPlane = (registry: Registry) =>
  command({
    path: "uninstall control-plane",
    summary: "Print what Kubernetes has to delete to be rid of the Control Plane and the injector",
    details:
      "Meshes and policies stay, and so does the namespace, in which the keys of certificate authorities are: " +
      "a Control Plane that is installed again continues with them. --crds deletes all of that, too.",
    examples: [
      "kumactl uninstall control-plane | kubectl delete --ignore-not-found -f -",
      "kumactl uninstall control-plane --crds | kubectl delete --ignore-not-found -f -",
    ],
    flags: {
      namespace: namespaceFlag,
      controlPlaneServiceName: optionFlags.controlPlaneServiceName,
      injectorServiceName: optionFlags.injectorServiceName,
      crds: toggle("crds", { help: "delete the custom resources, with all meshes and policies, and the namespace" }),
    },
    async run({ flags, io }) {
      const { controlPlaneManifests, uninstallManifests } = await import("../../kubernetes/manifests/control-plane.js");
      const { documentsText } = await import("../../kubernetes/manifests/yaml.js");
      const options = optionsOf(flags);
      const none = { cert: "", key: "" };
      const installed = controlPlaneManifests({
        registry,
        options,
        pairs: { admissionServer: none, injector: none, sds: none },
      });
      io.stdout.write(documentsText(uninstallManifests(installed, { state: flags.crds })));
      io.stderr.write(
        flags.crds
          ? `This deletes all meshes and policies, and the namespace ${options.namespace} with everything in it.\n`
          : `Meshes, policies and the namespace ${options.namespace} stay; --crds deletes them, too.\n`,
      );
    },
  });
