import type { Category } from "./check.js";
import type { Scope } from "./context.js";
import { controlPlaneChecks } from "./control-plane-checks.js";
import { installationChecks } from "./installation-checks.js";
import { kubernetesChecks } from "./kubernetes-checks.js";
import { machineChecks } from "./machine-checks.js";
import { meshChecks } from "./mesh-checks.js";
import { podChecks } from "./pod-checks.js";
import { portChecks } from "./port-checks.js";
import { proxyChecks } from "./proxy-checks.js";
import { registrationChecks } from "./registration-checks.js";
import { statusChecks } from "./status-checks.js";
import { tokenChecks } from "./token-checks.js";
import { trafficChecks } from "./traffic-checks.js";

const machine: Category = { name: "this machine", checks: [...machineChecks, ...portChecks] };
const token: Category = { name: "dataplane token", checks: tokenChecks };

/** All checks, ordered so that the result of one explains those that follow. */
export const categories: readonly Category[] = [
  machine,
  { name: "control plane", checks: [...controlPlaneChecks, ...statusChecks] },
  { name: "Kubernetes", checks: [...kubernetesChecks, ...installationChecks, ...podChecks] },
  { name: "meshes", checks: meshChecks },
  { name: "dataplanes", checks: [...proxyChecks, ...registrationChecks] },
  { name: "traffic", checks: trafficChecks },
  token,
];

/** The categories to run. With --pre nothing runs yet, so there are only the machine and a given token to check. */
export const categoriesFor = ({ pre }: Scope): readonly Category[] => (pre ? [machine, token] : categories);
