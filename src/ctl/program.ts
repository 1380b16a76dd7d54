import type { Program } from "../lib/cli.js";
import type { Registry } from "../resources/registry.js";
import { applyCommand } from "./commands/apply.js";
import { check } from "./commands/check.js";
import { completionCommands } from "./commands/completion.js";
import { configView } from "./commands/config-view.js";
import { controlPlanesAdd } from "./commands/control-planes-add.js";
import { controlPlanesList } from "./commands/control-planes-list.js";
import { controlPlanesRemove } from "./commands/control-planes-remove.js";
import { controlPlanesSwitch } from "./commands/control-planes-switch.js";
import { deleteCommand } from "./commands/delete.js";
import { explainTraffic } from "./commands/explain-traffic.js";
import { exportCommand } from "./commands/export.js";
import { generateCertificate } from "./commands/generate-certificate.js";
import { generateDataplaneToken } from "./commands/generate-dataplane-token.js";
import { getCommands } from "./commands/get.js";
import { inspectDataplane } from "./commands/inspect-dataplane.js";
import { inspectDataplanes } from "./commands/inspect-dataplanes.js";
import { installCrds } from "./commands/install-crds.js";
import { installDatabaseSchema } from "./commands/install-database-schema.js";
import { manageCaRotate } from "./commands/manage-ca-rotate.js";
import { globalFlags } from "./globals.js";

/** Builds kumactl for these resource types: its commands, their names and the accepted documents derive from them. */
export function kumactl(registry: Registry): Program {
  const program: Program = {
    name: "kumactl",
    description: "Management tool for Kuma.",
    logLevel: "off",
    globalFlags,
    groups: [
      { path: "config", summary: "Manage kumactl config" },
      { path: "config control-planes", summary: "Manage known Control Planes" },
      { path: "completion", summary: "Print a completion script for a shell" },
      { path: "generate", summary: "Generate tokens and certificates for dataplanes and the Control Plane" },
      { path: "install", summary: "Print files that an installation needs" },
      { path: "get", summary: "Show Kuma resources" },
      { path: "inspect", summary: "Inspect Kuma resources" },
      { path: "explain", summary: "Explain the behavior of the mesh" },
      { path: "manage", summary: "Manage certificate authorities" },
      { path: "manage ca", summary: "Manage the certificate authority of a mesh" },
    ],
    commands: [
      applyCommand(registry),
      check,
      configView,
      controlPlanesAdd,
      controlPlanesList,
      controlPlanesRemove,
      controlPlanesSwitch,
      deleteCommand(registry),
      exportCommand(registry),
      ...getCommands(registry),
      inspectDataplane(registry.policies),
      inspectDataplanes,
      explainTraffic(registry.policies),
      generateCertificate,
      generateDataplaneToken,
      installCrds,
      installDatabaseSchema,
      manageCaRotate,
      ...completionCommands(() => program),
    ],
  };
  return program;
}
