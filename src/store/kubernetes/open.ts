import type { KubeClient } from "../../kubeapi/client.js";
import { hasStatus, KubeError } from "../../kubeapi/error.js";
import { backoff, sleep } from "../../lib/deadline.js";
import { isJsonObject } from "../../lib/json.js";
import type { Logger } from "../../lib/logger.js";
import type { OpenedStore, StoreContext } from "../kind.js";
import { createMirror } from "../mirror.js";
import { createInstances, type KubernetesInstances } from "./instances.js";
import { createLeadership } from "./leadership.js";
import { createLeases } from "./leases.js";
import { kumaApiVersion, kumaGroup } from "./naming.js";
import { type ObjectKind, objectKinds } from "./object-kind.js";
import { createStore } from "./store.js";
import { startWatches, type Watches } from "./watches.js";

interface OpenOptions extends Omit<StoreContext, "pollingIntervalMs"> {
  /** Closed with the store. */
  readonly client: KubeClient;
  readonly systemNamespace: string;
  readonly timing?: Partial<Timing>;
}

interface Timing {
  /** Interval of renewals of this instance's Lease, in milliseconds. */
  readonly beatMs: number;
  /** An instance that did not renew for this long is dead. */
  readonly deadMs: number;
  /** When a silent watch counts as dead; default: that of the reflector. */
  readonly silenceMs: number | undefined;
}

const usualTiming: Timing = { beatMs: 5_000, deadMs: 15_000, silenceMs: undefined };

/** The plurals that the API server serves in our group. */
async function served(client: KubeClient, signal: AbortSignal): Promise<ReadonlySet<string>> {
  try {
    const answer = await client.request("GET", `/apis/${kumaApiVersion}`, undefined, signal);
    const resources = isJsonObject(answer) && Array.isArray(answer.resources) ? answer.resources : [];
    return new Set(resources.filter(isJsonObject).map(({ name }) => String(name)));
  } catch (error) {
    if (hasStatus(error, 404)) return new Set();
    throw error;
  }
}

/** Waits until the API server answers and serves all CRDs. Rejects when the signal fires. */
async function crdsServed(
  client: KubeClient,
  kinds: readonly ObjectKind[],
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  const needed = kinds.filter(({ collection }) => collection.group === kumaGroup);
  const delays = backoff({ first: 500, max: 3_000 });
  let told = "";
  for (;;) {
    let reason: string;
    try {
      const present = await served(client, signal);
      const missing = needed.map(({ collection }) => collection.plural).filter((plural) => !present.has(plural));
      if (missing.length === 0) return;
      reason = `there is no CRD of ${missing.map((plural) => `${plural}.${kumaGroup}`).join(", ")}`;
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof KubeError)) throw error;
      reason = error.message;
    }
    if (reason !== told) logger.error("Kubernetes can't keep resources yet; trying again", { reason });
    told = reason;
    await sleep(delays.next(), signal);
  }
}

/** Renews the Lease of this instance until the signal fires. */
async function keepAlive(
  instances: KubernetesInstances,
  watches: Watches,
  beatMs: number,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  let failing = false;
  while (!signal.aborted) {
    try {
      await instances.beat();
      failing = false;
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      instances.interrupted();
      if (!failing && watches.lost === undefined) {
        logger.error("the Lease of this control plane can't be renewed", { reason: error.message });
      }
      failing = true;
    }
    await sleep(beatMs, signal).catch(() => {});
  }
}

/** How long leaving may take, in milliseconds; if it fails, the others notice that this instance is dead. */
const leaveTimeoutMs = 1_000;

/** Opens the store in the Kubernetes API: waits until the CRDs are served, and everything was listed. */
export async function openKubernetesStore(options: OpenOptions): Promise<OpenedStore> {
  const { client, registry, systemNamespace, logger, instanceId, signal } = options;
  const { beatMs, deadMs, silenceMs } = { ...usualTiming, ...options.timing };
  const kinds = objectKinds(registry, systemNamespace);
  const mirror = createMirror(registry, "name");
  const leases = createLeases(client, systemNamespace);
  const instances = createInstances(leases, instanceId, { deadMs });
  const leadership = createLeadership(leases, instanceId, logger);
  let watches: Watches | undefined;
  try {
    await crdsServed(client, [...kinds.values()], logger, signal);
    watches = startWatches({
      client,
      kinds: [...kinds.values()],
      mirror,
      logger,
      ...(silenceMs === undefined ? {} : { silenceMs }),
    });
    await watches.listed(signal);
    await leadership.attempt();
  } catch (error) {
    client.close();
    await watches?.close();
    throw error;
  }
  const watching = watches;
  const stopping = new AbortController();
  const living = keepAlive(instances, watching, beatMs, logger, stopping.signal);
  leadership.start();

  async function close(): Promise<void> {
    stopping.abort();
    const done = new AbortController();
    const leaving = Promise.all([leadership.close(), living.then(() => instances.leave().catch(() => {}))]);
    await Promise.race([leaving, sleep(leaveTimeoutMs, done.signal).catch(() => {})]).finally(() => done.abort());
    await watching.close();
    client.close();
    mirror.close();
  }

  return {
    instances,
    leadership,
    store: createStore({ client, kinds, mirror, watches: watching, rehearse: () => instances.renew(), close }),
    kubernetes: { client, systemNamespace, skipped: () => watching.skipped() },
  };
}
