import { UserError } from "../../lib/errors.js";
import { type Parser, type SettingsTable, str, type Values } from "../../lib/settings.js";

const label = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

const namespace: Parser<string> = Object.assign(
  (raw: unknown, name: string): string => {
    const value = str(raw, name);
    if (label.test(value)) return value;
    throw UserError.of("setting.invalid", {
      setting: name,
      value: value === "" ? "empty" : JSON.stringify(value),
      expected: "the name of a namespace, such as kuma-system",
    });
  },
  { takesEmpty: true },
);

/** The settings of the Kubernetes store. */
export const kubernetesTable = {
  kubernetesSystemNamespace: {
    path: "store.kubernetes.systemNamespace",
    env: ["KUMA_STORE_KUBERNETES_SYSTEM_NAMESPACE"],
    default: "kuma-system",
    parse: namespace,
    sentence: "The namespace that the control plane runs in, where it keeps its Secrets and Leases.",
  },
} satisfies SettingsTable;

export type KubernetesSettings = Values<typeof kubernetesTable>;
