import type { LeaderStatus } from "../../kubernetes/diagnosis/leader.js";
import type { WebhookStatus } from "../../kubernetes/diagnosis/webhooks.js";
import { messageOf } from "../../lib/errors.js";
import type { Registry } from "../../resources/registry.js";
import type { KubernetesAccess, SkippedObject } from "../../store/kind.js";

/** What a control plane on Kubernetes knows that its users can't see, or not with their permissions. */
export interface KubernetesStatus {
  readonly systemNamespace: string;
  /** The id of this control plane instance. */
  readonly instance: string;
  readonly leader?: LeaderStatus;
  /** Permissions that it lacks. */
  readonly denied?: readonly string[];
  readonly webhooks?: readonly WebhookStatus[];
  /** Objects that can't be read or are invalid, at most `mostSkipped` of them. */
  readonly skipped: { readonly total: number; readonly objects: readonly Omit<SkippedObject, "uid">[] };
  /** Why a part is absent. */
  readonly unknown: readonly string[];
}

export interface KubernetesStatusOptions {
  readonly access: Pick<KubernetesAccess, "client" | "systemNamespace" | "skipped">;
  readonly registry: Registry;
  readonly instance: string;
  /** Monotonic, in milliseconds. */
  readonly clock?: () => number;
}

/** However often the status is requested, the API server is asked at most this often. */
const againMs = 10_000;
/** The same for permissions, which are many requests and change seldom. */
const permissionsAgainMs = 60_000;
/** How long the parts of the status may take. */
const patienceMs = 8_000;
export const mostSkipped = 200;

/** kubelet tells every pod where the API server is. */
const isInCluster = (): boolean => (process.env.KUBERNETES_SERVICE_HOST ?? "") !== "";

/** The result of `work`, shared by all who ask within the time; a failure is not kept. */
function shared<T>(work: () => Promise<T>, forMs: number, clock: () => number): () => Promise<T> {
  let last: { readonly result: Promise<T>; readonly at: number } | undefined;
  return () => {
    if (last !== undefined && clock() - last.at < forMs) return last.result;
    const result = work();
    const now = { result, at: clock() };
    last = now;
    result.catch(() => {
      if (last === now) last = undefined;
    });
    return result;
  };
}

/** Rejects once the time is over; the work goes on for whoever asks next. */
async function within<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no result within ${patienceMs / 1_000} s`)), patienceMs);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/** Returns what the control plane knows about its installation on Kubernetes. Never fails: parts may be absent. */
export function createKubernetesStatus(options: KubernetesStatusOptions): () => Promise<KubernetesStatus> {
  const { access, registry, instance, clock = () => performance.now() } = options;
  const { client, systemNamespace } = access;

  const leader = shared(
    async () => {
      const { readLeader } = await import("../../kubernetes/diagnosis/leader.js");
      return readLeader(client, systemNamespace, Date.now);
    },
    againMs / 10,
    clock,
  );
  const denied = shared(
    async () => {
      const diagnosis = await import("../../kubernetes/diagnosis/permissions.js");
      const needed = diagnosis.neededPermissions(registry, systemNamespace);
      const missing = await diagnosis.missingPermissions(client, needed, AbortSignal.timeout(4 * patienceMs));
      return missing.map(diagnosis.permissionText);
    },
    permissionsAgainMs,
    clock,
  );
  const webhooks = shared(
    async () => {
      const { readWebhooks } = await import("../../kubernetes/diagnosis/webhooks.js");
      const { webhookServers } = await import("../../kubernetes/webhook-names.js");
      return readWebhooks({ client, systemNamespace, servers: webhookServers, inCluster: isInCluster() });
    },
    againMs,
    clock,
  );

  return async () => {
    const unknown: string[] = [];
    async function part<Name extends string, T>(name: Name, title: string, read: () => Promise<T>) {
      try {
        return { [name]: await within(read()) } as { [Key in Name]: T };
      } catch (error) {
        unknown.push(`${title}: ${messageOf(error)}`);
        return {};
      }
    }
    const [ofLeader, ofPermissions, ofWebhooks] = await Promise.all([
      part("leader", "the Lease of the leader", leader),
      part("denied", "the permissions of the control plane", denied),
      part("webhooks", "the webhook configurations", webhooks),
    ]);
    const objects = access.skipped();
    return {
      systemNamespace,
      instance,
      ...ofLeader,
      ...ofPermissions,
      ...ofWebhooks,
      skipped: { total: objects.length, objects: objects.slice(0, mostSkipped).map(({ uid: _, ...one }) => one) },
      unknown,
    };
  };
}
