import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { eventually } from "./eventually.js";
import {
  bin,
  type ControlPlane,
  put,
  type Running,
  runProgram,
  startControlPlane,
  startProgram,
} from "./executable.js";
import { freePort } from "./ports.js";

export interface Networking {
  readonly inbound: readonly { readonly interface: string; readonly tags: Readonly<Record<string, string>> }[];
  readonly outbound?: readonly { readonly interface: string; readonly service: string }[];
}

/** An application that sends its name as a greeting at once, like a server-first protocol, and echoes what it receives. */
export interface Application {
  readonly port: number;
  /** How many connections it has accepted. */
  readonly seen: () => number;
  /** Closes its connections and refuses new ones. */
  stop(): Promise<void>;
  /** Listens on its port again. */
  start(): Promise<void>;
}

export interface SidecarOptions {
  readonly mesh?: string;
  /** The token's text; "" for none. By default it is a token for the sidecar's own name. */
  readonly token?: string;
  readonly drainTime?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The directory of another build's programs. */
  readonly from?: string;
  /** Without a terminal, like a service: SIGHUP then reloads. */
  readonly service?: boolean;
}

export interface Sidecar extends Running {
  readonly admin: number;
  /** Sends a request to Envoy's admin interface. */
  ask(path: string): Promise<string>;
}

/** A control plane with real sidecars and applications; `close` ends all of them. */
export interface MeshStage {
  cp: ControlPlane;
  readonly temporary: string;
  application(name: string): Promise<Application>;
  apply(name: string, networking: Networking, mesh?: string): Promise<number>;
  /** Applies a Mesh with mTLS on or off. */
  mtls(enabled: boolean, mesh?: string): Promise<number>;
  /** Applies a TrafficPermission from sources to destinations, each a service or a set of tags. */
  permit(name: string, sources: readonly Tags[], destinations: readonly Tags[], mesh?: string): Promise<number>;
  remove(path: string): Promise<number>;
  /** Waits until the Envoys of these dataplanes have acknowledged all that follows from what was applied. */
  settled(...names: readonly string[]): Promise<void>;
  token(name: string, mesh?: string, more?: Readonly<Record<string, unknown>>): Promise<string>;
  sidecar(name: string, options?: SidecarOptions): Promise<Sidecar>;
  /** Runs `kumactl` against this control plane and returns its output. */
  kumactl(...args: string[]): { readonly status: number | null; readonly stdout: string; readonly stderr: string };
  close(): Promise<void>;
}

type Tags = string | Readonly<Record<string, string>>;

const selectors = (all: readonly Tags[]) =>
  all.map((tags) => ({ match: typeof tags === "string" ? { service: tags } : tags }));

/** Starts a stage whose control plane has these settings; `from` is the directory of another build. */
export async function openMeshStage(env: Readonly<Record<string, string>> = {}, from = bin): Promise<MeshStage> {
  const temporary = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-mesh-"));
  const applications: Application[] = [];
  const sidecars: Sidecar[] = [];
  let tokens = 0;

  async function application(name: string): Promise<Application> {
    let seen = 0;
    let port = 0;
    const sockets = new Set<net.Socket>();
    const server = net.createServer((socket) => {
      seen += 1;
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
      socket.on("error", () => socket.destroy());
      socket.write(`${name}\n`);
      socket.pipe(socket);
    });
    const started = {
      get port() {
        return port;
      },
      seen: () => seen,
      async start() {
        await new Promise<void>((resolve, reject) => {
          server.once("error", reject).listen(port, "127.0.0.1", resolve);
        });
        port = (server.address() as net.AddressInfo).port;
      },
      async stop() {
        const closed = new Promise((resolve) => server.close(resolve));
        for (const socket of sockets) socket.destroy();
        await closed;
      },
    };
    await started.start();
    applications.push(started);
    return started;
  }

  const stage: MeshStage = {
    cp: await startControlPlane(env, undefined, from),
    temporary,
    application,
    apply: (name, networking, mesh = "default") =>
      put(stage.cp.api, `/meshes/${mesh}/dataplanes/${name}`, { type: "Dataplane", mesh, name, networking }),
    mtls: (enabled, name = "default") =>
      put(stage.cp.api, `/meshes/${name}`, { type: "Mesh", name, mtls: { enabled, ca: { builtin: {} } } }),
    permit: (name, sources, destinations, mesh = "default") =>
      put(stage.cp.api, `/meshes/${mesh}/traffic-permissions/${name}`, {
        type: "TrafficPermission",
        mesh,
        name,
        rules: [{ sources: selectors(sources), destinations: selectors(destinations) }],
      }),
    async remove(target) {
      const response = await fetch(`${stage.cp.api}${target}`, { method: "DELETE" });
      await response.arrayBuffer();
      return response.status;
    },
    async settled(...names) {
      await Promise.all(
        names.map((name) =>
          eventually(`${name} has acknowledged everything`, async () => {
            const response = await fetch(`${stage.cp.api}/meshes/default/dataplanes/${name}/xds?diff=true`);
            const diff = (await response.json()) as { readonly settled?: boolean };
            if (diff.settled !== true) throw new Error(JSON.stringify(diff));
            return true;
          }),
        ),
      );
    },
    async token(name, mesh = "default", more = {}) {
      const body = JSON.stringify({ name, mesh, ...more });
      const response = await fetch(`${stage.cp.tokens}/tokens`, { method: "POST", body });
      return response.text();
    },
    async sidecar(name, options = {}) {
      const { mesh = "default", token, drainTime = "2s", env: more = {}, from: program = bin, service } = options;
      const admin = await freePort();
      const text = token ?? (await stage.token(name, mesh));
      const file = path.join(temporary, `token-${tokens++}`);
      if (text !== "") fs.writeFileSync(file, text);
      const words = [path.join(program, "kuma-dp"), "run", `--admin-port=${admin}`];
      const [first = "", ...rest] = service === true ? ["/usr/bin/setsid", ...words] : words;
      const running = startProgram(first, rest, {
        KUMA_CONTROL_PLANE_BOOTSTRAP_SERVER_URL: stage.cp.bootstrap,
        KUMA_DATAPLANE_NAME: name,
        KUMA_DATAPLANE_MESH: mesh,
        KUMA_DATAPLANE_DRAIN_TIME: drainTime,
        ...(text === "" ? {} : { KUMA_DATAPLANE_RUNTIME_TOKEN_PATH: file }),
        TMPDIR: temporary,
        ...more,
      });
      const ask = async (target: string) => (await fetch(`http://127.0.0.1:${admin}${target}`)).text();
      const sidecar = { ...running, admin, ask };
      sidecars.push(sidecar);
      return sidecar;
    },
    kumactl(...args) {
      const config = path.join(temporary, "kumactl-config");
      if (!fs.existsSync(config)) {
        fs.writeFileSync(
          config,
          JSON.stringify({
            contexts: [{ name: "test", controlPlane: "test" }],
            controlPlanes: [{ name: "test", coordinates: { apiServer: { url: stage.cp.api } } }],
            currentContext: "test",
          }),
        );
      }
      return runProgram("kumactl", ["--config-file", config, ...args]);
    },
    async close() {
      await Promise.all(sidecars.map((sidecar) => sidecar.stop()));
      await stage.cp.stop();
      await Promise.all(applications.map((one) => one.stop()));
      fs.rmSync(temporary, { recursive: true, force: true });
    },
  };
  return stage;
}

/** Long enough for a machine that is slow, and short enough for another attempt within a deadline. */
const silentMs = 20_000;

/** Connects and returns the greeting; rejects when the connection fails, ends without one, or nothing comes. */
export function greeting(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, "127.0.0.1");
    socket.setTimeout(silentMs, () => socket.destroy(new Error("neither greeted nor closed")));
    socket.once("data", (chunk) => {
      resolve(chunk.toString().trim());
      socket.destroy();
    });
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("closed without a greeting")));
  });
}

/**
 * Connects, sends a line, and returns everything that an application of a stage sent until the peer closed: nothing
 * when the connection was refused. TLS alerts are ignored.
 */
export function refusal(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = "";
    const socket = net.connect(port, "127.0.0.1", () => socket.write("is anybody there\n"));
    socket.on("data", (chunk) => {
      received += chunk.toString();
      // An application answered and keeps the connection open.
      if (received.includes("anybody")) socket.destroy();
    });
    socket.setTimeout(silentMs, () => socket.destroy(new Error("neither answered nor closed")));
    socket.on("error", (error: NodeJS.ErrnoException) => (error.code === "ECONNRESET" ? undefined : reject(error)));
    socket.on("close", () => resolve(/^[\n\x20-\x7e]*$/.test(received) ? received : ""));
  });
}

/** Waits until connections get this greeting. */
export const reaches = (port: number, name: string, deadlineMs?: number) =>
  eventually(`port ${port} leads to ${name}`, async () => (await greeting(port)) === name, deadlineMs);

/** Waits until so many connections in a row get this greeting: Envoy's workers follow its main thread. */
export const onlyReaches = (port: number, name: string, connections = 20) =>
  eventually(`port ${port} leads to nothing but ${name}`, async () => {
    for (let index = 0; index < connections; index++) {
      const said = await greeting(port);
      if (said !== name) throw new Error(`connection ${index + 1} got "${said}"`);
    }
    return true;
  });

/** Waits until connections are closed without a byte. */
export const denies = (port: number, deadlineMs?: number) =>
  eventually(`port ${port} leads nowhere`, async () => (await refusal(port)) === "", deadlineMs);
