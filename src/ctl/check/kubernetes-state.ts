import { isJsonObject, type JsonObject } from "../../lib/json.js";

/** A webhook as API servers see it. */
export interface WebhookState {
  readonly configuration: string;
  /** Empty for the configuration itself. */
  readonly webhook: string;
  readonly server: string;
  /** Where its certificate was read. */
  readonly source: string;
  readonly validity: { readonly notBefore: Date; readonly notAfter: Date } | undefined;
  readonly problem: string | undefined;
}

/** An object that can't be read, or is invalid. */
export interface SkippedState {
  readonly type: string;
  /** `namespace/name`, or the name. */
  readonly name: string;
  /** Whether what is valid of it has effect. */
  readonly partial: boolean;
  readonly reason: string;
}

/** What a control plane on Kubernetes reports; a part that it could not find out is undefined. */
export interface KubernetesState {
  readonly systemNamespace: string;
  /** The id of the instance that answered. */
  readonly instance: string;
  readonly leader:
    | {
        readonly lease: string;
        readonly holder: string;
        readonly ageMs: number | undefined;
        readonly durationMs: number;
      }
    | undefined;
  readonly denied: readonly string[] | undefined;
  readonly webhooks: readonly WebhookState[] | undefined;
  readonly skipped: { readonly total: number; readonly objects: readonly SkippedState[] };
  /** Why parts are undefined. */
  readonly unknown: readonly string[];
}

const text = (value: unknown): string => (typeof value === "string" ? value : "");
const size = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : undefined;
const texts = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((one) => typeof one === "string") : [];
const objects = (value: unknown): readonly JsonObject[] => (Array.isArray(value) ? value.filter(isJsonObject) : []);

function validityOf({ notBefore, notAfter }: JsonObject): WebhookState["validity"] {
  const [from, until] = [new Date(text(notBefore)), new Date(text(notAfter))];
  if (Number.isNaN(from.getTime()) || Number.isNaN(until.getTime())) return undefined;
  return { notBefore: from, notAfter: until };
}

const readWebhook = (webhook: JsonObject): WebhookState => ({
  configuration: text(webhook.configuration),
  webhook: text(webhook.webhook),
  server: text(webhook.server),
  source: text(webhook.source),
  validity: validityOf(webhook),
  problem: text(webhook.problem) || undefined,
});

function readSkipped(value: unknown): KubernetesState["skipped"] {
  if (!isJsonObject(value)) return { total: 0, objects: [] };
  const shown = objects(value.objects).map(({ type, namespace, name, effect, reason }) => ({
    type: text(type),
    name: text(namespace) === "" ? text(name) : `${text(namespace)}/${text(name)}`,
    partial: effect === "partial",
    reason: text(reason),
  }));
  return { total: Math.max(shown.length, size(value.total) ?? 0), objects: shown };
}

/** Reads the part of `/status` about Kubernetes; undefined when there is none. */
export function readKubernetes(value: unknown): KubernetesState | undefined {
  if (!isJsonObject(value)) return undefined;
  const { systemNamespace, instance, leader, denied, webhooks, skipped, unknown } = value;
  return {
    systemNamespace: text(systemNamespace),
    instance: text(instance),
    leader: isJsonObject(leader)
      ? {
          lease: text(leader.lease),
          holder: text(leader.holder),
          ageMs: size(leader.ageMs),
          durationMs: size(leader.durationMs) ?? 0,
        }
      : undefined,
    denied: Array.isArray(denied) ? texts(denied) : undefined,
    webhooks: Array.isArray(webhooks) ? objects(webhooks).map(readWebhook) : undefined,
    skipped: readSkipped(skipped),
    unknown: texts(unknown),
  };
}
