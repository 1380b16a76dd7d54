import { hostPort } from "../lib/host.js";
import { type Answer, exchange } from "../net/http-client.js";
import type { AdminAddress } from "./bootstrap-document.js";

/** What kuma-dp asks of its Envoy; every call rejects when Envoy does not answer in time. */
export interface EnvoyAdmin {
  /** Starts the graceful drain of all listeners; Envoy itself stays up. */
  drain(): Promise<void>;
  /** Connections that applications and other proxies have open to it; the admin interface's own are not counted. */
  connections(): Promise<number>;
  /** Has Envoy close its log files and open them again. */
  reopenLogs(): Promise<void>;
  /** True once Envoy is initialised and serves. */
  live(): Promise<boolean>;
  /** The restart epoch of the Envoy that answers, once it serves; undefined before. */
  epoch(): Promise<number | undefined>;
}

const timeout = 2000;
const limit = 8 * 1024 * 1024;

/**
 * Sums the per-listener gauges out of Envoy's stats text. They are live, unlike `server.total_connections`, which
 * changes only when stats are flushed. The per-worker gauges repeat the same connections.
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

/** The restart epoch in the answer of /server_info; undefined unless that Envoy serves. */
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
    epoch: async () => readEpoch(await expectOk("GET", "/server_info")),
    live: async () => (await ask("GET", "/ready")).status === 200,
  };
}
