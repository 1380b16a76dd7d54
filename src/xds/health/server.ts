import { localClusterName } from "../../envoy/clusters.js";
import { detectionMs, encodeHealthSpecifier, reportIntervalMs } from "../../envoy/health-specifier.js";
import type { Logger } from "../../lib/logger.js";
import { frame } from "../../net/grpc-frame.js";
import { type CallError, callError, type GrpcCall, type GrpcListener } from "../../net/grpc-server.js";
import type { Incidents } from "../../net/incidents.js";
import { applicationChecks } from "../../policy/application-checks.js";
import type { Touched } from "../../view/apply.js";
import type { View } from "../../view/mesh-view.js";
import { LimitExceeded } from "../limits.js";
import { type ProxyId, parseNodeId } from "../node.js";
import { createSlices } from "../slices.js";
import { decodeHealthMessage, type HealthMessage } from "./report.js";

/** Receives the results of the health checks that sidecars make on their applications. */
export interface HealthObserver {
  /** The ports that applications do not accept connections on, sorted; called repeatedly until the view shows them. */
  applicationsDown(proxy: ProxyId, ports: readonly number[]): void;
  /** The last health stream of the proxy ended. */
  disconnected(proxy: ProxyId): void;
}

export const silentHealth: HealthObserver = { applicationsDown: () => undefined, disconnected: () => undefined };

interface HealthStream {
  /** Sends the Envoy its health checks, if they changed. */
  refresh(): void;
}

export interface HealthServer {
  /** Serves one StreamHealthCheck call. */
  serve(call: GrpcCall): GrpcListener;
  update(mesh: string, touched: Touched): void;
  /** How many calls are open. */
  readonly open: number;
  /** Whether the proxy has a health stream with this control plane. */
  has(proxy: ProxyId): boolean;
}

interface Options {
  readonly view: () => View;
  readonly observer: HealthObserver;
  readonly logger: Logger;
  readonly incidents: Incidents;
  readonly now: () => number;
}

/** The longest time that a slice of work may block the event loop. */
const sliceMs = 5;

const nothingToCheck = encodeHealthSpecifier(new Map());

/** Envoy's health discovery service (HDS): lets sidecars check their own applications, and receives the results. */
export function createHealthServer({ view, observer, logger, incidents, now }: Options): HealthServer {
  const meshes = new Map<string, Map<string, Set<HealthStream>>>();
  let open = 0;
  const refreshes = createSlices<HealthStream>(sliceMs, (stream) => stream.refresh());

  function add({ mesh, name }: ProxyId, stream: HealthStream): void {
    const proxies = meshes.get(mesh) ?? new Map<string, Set<HealthStream>>();
    meshes.set(mesh, proxies.set(name, (proxies.get(name) ?? new Set()).add(stream)));
  }

  function remove(proxy: ProxyId, stream: HealthStream): void {
    const proxies = meshes.get(proxy.mesh);
    const streams = proxies?.get(proxy.name);
    streams?.delete(stream);
    if (streams?.size !== 0) return;
    proxies?.delete(proxy.name);
    if (proxies?.size === 0) meshes.delete(proxy.mesh);
    observer.disconnected(proxy);
  }

  /** Notifies the observer, unless the view already shows these ports. */
  function notify(proxy: ProxyId, down: readonly number[]): void {
    const mesh = view().get(proxy.mesh);
    if (mesh?.proxies.has(proxy.name) !== true) return;
    const known = [...(mesh.down.get(proxy.name) ?? [])];
    if (known.join() !== down.join()) observer.applicationsDown(proxy, down);
  }

  function serve(call: GrpcCall): GrpcListener {
    open += 1;
    let proxy: ProxyId | undefined;
    let ports = new Map<string, number>();
    let sent: Uint8Array = nothingToCheck;
    let trustedFrom = 0;
    /** By port: from when a report that the application accepts connections is more than Envoy's initial state. */
    let testedFrom = new Map<number, number>();
    let reported = false;

    const stream: HealthStream = {
      refresh() {
        const mesh = proxy && view().get(proxy.mesh);
        const own = proxy && mesh?.proxies.get(proxy.name);
        if (proxy === undefined || mesh === undefined || own === undefined) return;
        const checks = applicationChecks(mesh, own);
        if (checks.size === 0) notify(proxy, []);
        const specifier = encodeHealthSpecifier(checks);
        if (Buffer.from(specifier).equals(sent)) return;
        sent = specifier;
        ports = new Map([...checks.keys()].map((port) => [localClusterName(port), port]));
        // A report that is already in flight has the results of the previous checks.
        trustedFrom = now() + reportIntervalMs(checks) / 2;
        testedFrom = new Map([...checks].map(([port, check]) => [port, now() + detectionMs(check)]));
        reported = false;
        call.write(frame(specifier));
      },
    };

    function refuse({ code, details: reason }: CallError): void {
      logger.info("health stream refused", { peer: call.peer(), ...proxy, reason });
      call.end(code, reason);
    }

    function read(bytes: Buffer): HealthMessage | undefined {
      try {
        return decodeHealthMessage(bytes);
      } catch (error) {
        if (error instanceof LimitExceeded) {
          incidents.refused(error.limit);
          refuse(error.ending);
        } else refuse(callError("xds.message", { expected: "HealthCheckRequestOrEndpointHealthResponse" }));
        return undefined;
      }
    }

    function begin(nodeId: string): void {
      proxy = parseNodeId(nodeId);
      if (proxy === undefined) {
        refuse(callError("xds.node-id", { message: "message", id: nodeId.slice(0, 200) }));
        return;
      }
      call.proved();
      add(proxy, stream);
      stream.refresh();
    }

    function report(clusters: ReadonlyMap<string, boolean>): void {
      if (proxy === undefined || ports.size === 0 || now() < trustedFrom) return;
      // A new Envoy reports every application as healthy until a check has failed; one that lags may report before its
      // first check. What is known of an application outlasts that, or each reload of its sidecar would bring it back.
      const known = view().get(proxy.mesh)?.down.get(proxy.name);
      const untested = (port: number) => !reported || now() < (testedFrom.get(port) ?? 0);
      const down: number[] = [];
      // Clusters that were not to be checked are ignored, whatever the report holds.
      for (const [name, port] of ports) {
        if (clusters.get(name) === false || (known?.has(port) === true && untested(port))) down.push(port);
      }
      reported = true;
      notify(
        proxy,
        down.sort((a, b) => a - b),
      );
    }

    return {
      message(bytes) {
        const message = read(bytes);
        if (message === undefined) return;
        if (proxy === undefined) begin(message.nodeId);
        else if (message.clusters !== undefined) report(message.clusters);
      },
      closed() {
        open -= 1;
        refreshes.delete(stream);
        if (proxy !== undefined) remove(proxy, stream);
      },
    };
  }

  function* concerned(mesh: string, touched: Touched): Generator<HealthStream> {
    const proxies = meshes.get(mesh);
    if (proxies === undefined) return;
    if (touched.everyone || touched.mesh) {
      for (const streams of proxies.values()) yield* streams;
      return;
    }
    const names = new Set(touched.proxies);
    const services = view().get(mesh)?.services;
    for (const service of touched.upstreams)
      for (const name of services?.get(service)?.members.keys() ?? []) names.add(name);
    for (const name of names) yield* proxies.get(name) ?? [];
  }

  return {
    serve,
    get open() {
      return open;
    },
    update: (mesh, touched) => refreshes.add(concerned(mesh, touched)),
    has: ({ mesh, name }) => meshes.get(mesh)?.has(name) === true,
  };
}
