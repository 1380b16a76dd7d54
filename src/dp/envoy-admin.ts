import { hostPort } from "../lib/host.js";
import { type Answer, exchange } from "../net/http-client.js";
import type { AdminAddress } from "./bootstrap-document.js";

/** The requests that kuma-dp sends to Envoy's admin interface. Every call rejects when Envoy does not answer in time. */
export interface EnvoyAdmin {
  /** Starts a graceful drain of all listeners; Envoy itself keeps running. */
  drain(): Promise<void>;
  /** Open downstream connections of applications and other proxies, without those of the admin interface. */
  connections(): Promise<number>;
  /** Makes Envoy reopen its log files. */
  reopenLogs(): Promise<void>;
  /** True once Envoy is initialized and serves. */
  live(): Promise<boolean>;
  /** How many listeners Envoy has failed to create since it started, including those that it rejected. */
  listenerFailures(): Promise<number>;
  /** The names of its listeners, including warming ones. */
  listeners(): Promise<readonly string[]>;
  /** The restart epoch of the Envoy that answers; undefined until it serves. */
  epoch(): Promise<number | undefined>;
}

const timeout = 2000;
const limit = 8 * 1024 * 1024;

/**
 * Sums the per-listener gauges in Envoy's stats text. They are live, unlike `server.total_connections`, which changes
 * only when stats are flushed. Per-worker gauges are skipped, as they count the same connections again.
 */
export function countConnections(stats: string): number {
  let sum = 0;
  for (const line of stats.split("\n")) {
    const match = /^listener\.(.+)\.downstream_cx_active: (\d+)$/.exec(line);
    const listener = match?.[1];
    if (listener === undefined || /^admin(\.|$)/.test(listener) || /\.worker_\d+$/.test(listener)) continue;
    sum += Number(match?.[2]);
  }
  return sum;
}

/** Leaves out unused counters, which are most of them: with a thousand services this cuts Envoy's work to a tenth. */
const failuresPath = "/stats?usedonly&type=Counters&filter=listener_create_failure";

/** Reads one counter from Envoy's stats text; 0 when it is missing. */
export function readListenerFailures(stats: string): number {
  const [, count] = /^listener_manager\.listener_create_failure: (\d+)$/m.exec(stats) ?? [];
  return Number(count ?? 0);
}

const states = "active_state.version_info,warming_state.version_info";
const listenersPath = `/config_dump?resource=dynamic_listeners&mask=name,${states}`;

/**
 * The active and warming listeners in an answer of /config_dump. Listeners that are only draining are not included.
 * @throws when the answer is malformed: read as an empty list, it would have all listeners sent again
 */
export function readListeners(dump: string): readonly string[] {
  const { configs = [] }: { configs?: unknown } = JSON.parse(dump);
  if (!Array.isArray(configs)) throw new Error("Envoy's admin answered /config_dump without a list");
  const names: string[] = [];
  for (const config of configs as readonly unknown[]) {
    const listener = typeof config === "object" && config !== null ? { ...config } : {};
    const { name, active_state, warming_state }: { name?: unknown; active_state?: unknown; warming_state?: unknown } =
      listener;
    if (typeof name !== "string") throw new Error("Envoy's admin answered /config_dump with a listener without a name");
    if (active_state !== undefined || warming_state !== undefined) names.push(name);
  }
  return names;
}

/** The restart epoch in an answer of /server_info; undefined unless that Envoy is live. */
function readEpoch(serverInfo: string): number | undefined {
  const info: { state?: unknown; command_line_options?: { restart_epoch?: unknown } } = JSON.parse(serverInfo);
  const epoch = info.command_line_options?.restart_epoch;
  return info.state === "LIVE" && typeof epoch === "number" ? epoch : undefined;
}

/** A client of the admin interface at `address`. */
export function envoyAdmin(address: AdminAddress): EnvoyAdmin {
  const ask = async (method: "GET" | "POST", path: string): Promise<Answer> => {
    const target =
      address.kind === "socket"
        ? { target: { socketPath: address.path, path }, headers: { host: "envoy" } }
        : { target: new URL(path, `http://${hostPort(address.host, address.port)}`) };
    return exchange({ method, ...target, timeout, limit });
  };
  const expectOk = async (method: "GET" | "POST", path: string): Promise<string> => {
    const answer = await ask(method, path);
    if (answer.status !== 200) throw new Error(`Envoy's admin answered ${method} ${path} with status ${answer.status}`);
    return answer.body;
  };
  return {
    drain: async () => {
      await expectOk("POST", "/drain_listeners?graceful&skip_exit");
    },
    connections: async () => countConnections(await expectOk("GET", "/stats?filter=downstream_cx_active")),
    reopenLogs: async () => {
      await expectOk("POST", "/reopen_logs");
    },
    listenerFailures: async () => readListenerFailures(await expectOk("GET", failuresPath)),
    listeners: async () => readListeners(await expectOk("GET", listenersPath)),
    epoch: async () => readEpoch(await expectOk("GET", "/server_info")),
    live: async () => (await ask("GET", "/ready")).status === 200,
  };
}
