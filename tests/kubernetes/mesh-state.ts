import { createHash } from "node:crypto";
import type { Node } from "./node.js";
import { corePath, kumaPath, objectsOf } from "./objects.js";

interface Pod {
  readonly metadata: { readonly name: string; readonly uid: string; readonly deletionTimestamp?: string };
  readonly status?: {
    readonly phase?: string;
    readonly podIP?: string;
    readonly initContainerStatuses?: readonly ContainerStatus[];
    readonly containerStatuses?: readonly ContainerStatus[];
  };
}

interface ContainerStatus {
  readonly name: string;
  readonly restartCount: number;
}

/** What Envoy of one pod has. */
export interface SidecarState {
  /** Seconds since 1970, give or take one. */
  readonly startedAt: number;
  readonly listeners: readonly string[];
  readonly clusters: readonly string[];
  /** SPIFFE IDs of its certificates: its own and the authority's. */
  readonly identities: readonly string[];
  /** How many listeners and clusters it has lost, and how many updates it has rejected. */
  readonly losses: number;
  readonly connected: boolean;
  /** How often it has connected to a control plane. */
  readonly connections: number;
}

/** What an outage may not change: UIDs of objects, keys of authorities, and what sidecars have. */
export interface MeshState {
  readonly objects: Readonly<Record<string, string>>;
  readonly sidecars: Readonly<Record<string, SidecarState>>;
}

const objectKinds = ["meshes", "trafficpermissions", "dataplanes"];
const lossCounters = [
  "cluster_manager.cluster_removed",
  "cluster_manager.cds.update_rejected",
  "listener_manager.listener_removed",
  "listener_manager.lds.update_rejected",
];

/** What this asks sidecars needs no API server. @param namespace of the application */
export function meshStateOf(node: Node, namespace: string) {
  const objects = objectsOf(node);
  let executions = 0;

  async function ctr(...words: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await node.exec(["ctr", "-n", "k8s.io", ...words]);
    if (status !== 0) throw new Error(`ctr ${words.join(" ")}: ${stderr}`);
    return stdout;
  }

  async function containerOf(pod: string, container: string): Promise<string> {
    const filter = `labels."io.kubernetes.pod.name"==${pod},labels."io.kubernetes.container.name"==${container}`;
    return (await ctr("containers", "list", "-q", filter)).trim();
  }

  /** Runs a program in a container without the API server, as kubelet does. */
  const inContainer = async (pod: string, container: string, command: readonly string[]): Promise<string> =>
    ctr("tasks", "exec", "--exec-id", `test-${++executions}`, await containerOf(pod, container), ...command);

  /** Envoy's admin interface, from the pod's application. Under load, ctr sometimes loses the output. */
  async function admin(pod: string, place: string): Promise<string> {
    for (let attempt = 0; attempt < 5; attempt++) {
      const text = await inContainer(pod, "web", ["wget", "-q", "-O", "-", `http://127.0.0.1:9901/${place}`]);
      if (text !== "") return text;
    }
    throw new Error(`Envoy of ${pod} answered ${place} with nothing`);
  }

  async function sidecar(pod: string): Promise<SidecarState> {
    const stats = new Map<string, number>();
    for (const line of (await admin(pod, "stats")).split("\n")) {
      const [name = "", value = ""] = line.split(": ");
      stats.set(name, Number(value));
    }
    const lines = async (place: string, pattern: RegExp) =>
      [...new Set([...(await admin(pod, place)).matchAll(pattern)].map(([, name = ""]) => name))].sort();
    return {
      startedAt:
        Date.now() / 1000 - Number(/"uptime_current_epoch": "(\d+)s"/.exec(await admin(pod, "server_info"))?.[1]),
      listeners: await lines("listeners", /^(.+?)::/gm),
      clusters: await lines("clusters", /^(.+?)::/gm),
      identities: await lines("certs", /"uri": "(spiffe:[^"]+)"/g),
      losses: lossCounters.reduce((sum, name) => sum + (stats.get(name) ?? Number.NaN), 0),
      connected: stats.get("control_plane.connected_state") === 1,
      connections: stats.get("cluster.ads_cluster.upstream_cx_total") ?? Number.NaN,
    };
  }

  const pods = async (labelSelector?: string): Promise<readonly Pod[]> => {
    const selector = labelSelector === undefined ? "" : `?labelSelector=${encodeURIComponent(labelSelector)}`;
    const all = await objects.list<Pod>(`${corePath("pods", namespace)}${selector}`);
    return all.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  };

  /** Of these pods, without a request to the API server. */
  const sidecarsOf = async (names: readonly string[]): Promise<MeshState["sidecars"]> =>
    Object.fromEntries(await Promise.all(names.map(async (name) => [name, await sidecar(name)] as const)));

  /** Of all pods now. */
  async function take(): Promise<MeshState> {
    const found: [string, string][] = [];
    for (const kind of objectKinds) {
      for (const { metadata } of await objects.list(kumaPath(kind))) {
        found.push([`${kind} ${metadata.namespace ?? ""}/${metadata.name}`, metadata.uid]);
      }
    }
    const secrets = await objects.list<{ metadata: { name: string; uid: string }; data?: object; type: string }>(
      corePath("secrets", "kuma-system"),
    );
    for (const { metadata, data, type } of secrets.filter(({ type }) => type === "system.kuma.io/secret")) {
      const digest = createHash("sha256").update(JSON.stringify(data)).digest("hex");
      found.push([`${type} ${metadata.name}`, `${metadata.uid} ${digest}`]);
    }
    const names: string[] = [];
    for (const { metadata, status } of await pods()) {
      names.push(metadata.name);
      const all = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
      const restarts = all.map(({ name, restartCount }) => `${name} ${restartCount}`).join(", ");
      found.push([`pod ${metadata.name}`, `${metadata.uid}; restarts: ${restarts}`]);
    }
    return { objects: Object.fromEntries(found.sort()), sidecars: await sidecarsOf(names) };
  }

  /** Sends SIGKILL to a container's first process; kubelet starts it again. */
  const kill = async (pod: string, container: string) =>
    void (await ctr("tasks", "kill", "--signal", "SIGKILL", await containerOf(pod, container)));

  return { take, pods, sidecarsOf, kill };
}

/** What changed of what was there: nothing may have, but how often sidecars have connected. New objects don't count. */
export function lossesSince(before: MeshState, after: MeshState): readonly string[] {
  const changed = (kind: string, then: unknown, now: unknown) =>
    JSON.stringify(then) === JSON.stringify(now) ? [] : [`${kind}: ${JSON.stringify(then)} -> ${JSON.stringify(now)}`];
  return [
    ...Object.entries(before.objects).flatMap(([name, id]) => changed(name, id, after.objects[name])),
    ...Object.entries(before.sidecars).flatMap(([name, then]) => {
      const now = after.sidecars[name];
      const sameProcess = now !== undefined && Math.abs(now.startedAt - then.startedAt) < 4;
      const startedAt = sameProcess ? then.startedAt : now?.startedAt;
      return changed(`sidecar ${name}`, then, now && { ...now, connections: then.connections, startedAt });
    }),
  ];
}

/** One line of figures for the test's output. */
export function figuresOf({ objects, sidecars }: MeshState): string {
  const all = Object.values(sidecars);
  const sum = (of: (state: SidecarState) => number) => all.reduce((total, state) => total + of(state), 0);
  return (
    `${Object.keys(objects).length} objects kept; ${all.length} sidecars with ${sum(({ listeners }) => listeners.length)} ` +
    `listeners, ${sum(({ clusters }) => clusters.length)} clusters, ${sum(({ identities }) => identities.length)} ` +
    `certificates; lost or rejected: ${sum(({ losses }) => losses)}; connections so far: ${sum(({ connections }) => connections)}`
  );
}
