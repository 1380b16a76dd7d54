import fs from "node:fs";
import path from "node:path";
import { processTable } from "../../../src/dp/process-facts.js";
import { eventually } from "../../support/eventually.js";
import { bin, type Running, startControlPlane, startProgram } from "../../support/executable.js";
import { type Application, type MeshStage, type Networking, openMeshStage, reaches } from "../../support/mesh-stage.js";
import { freePort } from "../../support/ports.js";
import { type PostgresServer, startPostgres } from "../../support/postgres.js";
import { seeded } from "../../support/random.js";
import { startTcpProxy, type TcpProxy } from "../../support/tcp-proxy.js";
import type { Flow } from "./traffic.js";

/** Who is in the mesh from its start to its end. */
export const clients = ["web-1", "mobile-1"] as const;
export const servers = ["redis-1", "redis-2"] as const;
export const members = [...clients, ...servers];
/** An instance of redis that joins and leaves. */
export const guest = "redis-3";

export const serviceOf = (name: string) => name.replace(/-\d+$/, "");

/** How long a sidecar lets its connections end by themselves. */
export const drainSeconds = 2;

/** A sidecar with mTLS has one stream for its certificate and one for the authority's. */
const secretStreams = 2;

/** A sidecar's process and what is known of it; its ports stay the same over restarts. */
export interface Member {
  readonly name: string;
  readonly admin: number;
  readonly inbound: number;
  /** Undefined when it has no token. */
  readonly tokenFile: string | undefined;
  running: Running;
}

export interface ChaosStage {
  readonly mesh: MeshStage;
  readonly database: PostgresServer;
  /** What all sidecars find the xDS server behind. */
  readonly balancer: TcpProxy;
  /** Decides what an event leaves open; each event is given one of its own seed. */
  random: ReturnType<typeof seeded>;
  readonly flows: readonly Flow[];
  /** Where mobile-1 finds the service web, whose permission comes and goes. */
  readonly webOut: number;
  /** The ports that the guest has whenever it is there. */
  readonly guest: { readonly inbound: number; readonly application: number };
  /** Of those who are there from start to end. */
  readonly applications: Map<string, Application>;
  readonly dataplanes: Map<string, Networking>;
  /** Of all that have a sidecar at present. */
  readonly members: ReadonlyMap<string, Member>;
  /** Ends the control plane by a signal and starts another one on its store and ports. */
  restartControlPlane(signal: "SIGKILL" | "SIGTERM"): Promise<void>;
  /** A free port, the same whenever it is asked for by the same purpose: a long run would use up all that there are. */
  port(purpose: string): Promise<number>;
  /** Switches mTLS and leaves the rest of the Mesh as it is. */
  mtls(enabled: boolean): Promise<void>;
  /** Applies a Dataplane as it was at first, with these outbounds added. */
  apply(name: string, outbound?: Networking["outbound"]): Promise<void>;
  /** Starts the sidecar of a dataplane that was applied, without a token only where that is said. */
  join(name: string, inbound: number, token?: "no token"): Promise<Member>;
  /** Stops a sidecar in order, for good. */
  leave(name: string): Promise<void>;
  /** Starts a sidecar that has ended anew, with its ports and its token. */
  restart(name: string): void;
  /** The process id of a sidecar's Envoy, the older one while there are two; undefined when it has none. */
  envoyOf(name: string): number | undefined;
  readonly reloads: number;
  /** Has a kuma-dp reload, and waits until its new Envoy serves and the old one is gone. */
  reload(name: string): Promise<void>;
  ask(name: string, path: string): Promise<string>;
  /** PUTs a resource of the mesh; throws when it is refused. */
  write(collection: string, type: string, name: string, rest: object): Promise<void>;
  remove(collection: string, name: string): Promise<void>;
  /** Waits until the control plane is ready and each sidecar has open streams of configuration and of secrets to it. */
  connected(): Promise<void>;
  /** Waits until no client's passive health check keeps connections away from an instance any more. */
  penaltiesOver(): Promise<void>;
  close(): Promise<void>;
}

export interface StageOptions {
  /**
   * A lower one brings more renewals. Envoys have a fifth of it to find a control plane that was restarted: they try
   * again at random times, of which the fifth may be 8 s after the fourth.
   */
  readonly certificateSeconds: number;
  /** New connections a second for each client. */
  readonly perSecond: number;
  /** How often a kuma-dp reloads when that happens to one. */
  readonly reloads: number;
}

const everybody = [{ match: { service: "*" } }];
export const service = (name: string) => [{ match: { service: name } }];

/** The children of a process that live, the oldest first. One that ended may be a zombie until the next reload. */
function childrenOf(pid: number | undefined): readonly number[] {
  try {
    const all = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").match(/\d+/g) ?? [];
    return all.map(Number).filter((child) => processTable(child) !== undefined);
  } catch {
    // The process has ended, and its children are nobody's to tell.
    return [];
  }
}

/** Ends an Envoy whose kuma-dp was killed, unless the next kuma-dp did. */
function endOrphan(pid: number): void {
  try {
    if (path.basename(fs.readlinkSync(`/proc/${pid}/exe`)) === "envoy") process.kill(pid, "SIGKILL");
  } catch (error) {
    if (!["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}

interface Subscription {
  readonly controlPlaneInstanceId: string;
  readonly disconnectTime?: string;
}

/** Every dataplane's streams, past and present, as the control plane tells them. */
async function subscriptions(api: string): Promise<ReadonlyMap<string, readonly Subscription[]>> {
  const response = await fetch(`${api}/meshes/default/dataplanes+insights`);
  const { items } = (await response.json()) as {
    items: readonly { name: string; dataplaneInsight?: { subscriptions?: Subscription[] } }[];
  };
  return new Map(items.map(({ name, dataplaneInsight }) => [name, dataplaneInsight?.subscriptions ?? []]));
}

/** Opens a mesh of two clients and two instances of a server with mTLS and policies, on PostgreSQL. */
export async function openChaosStage({ certificateSeconds, perSecond, reloads }: StageOptions): Promise<ChaosStage> {
  const database = await startPostgres();
  const address = await database.createDatabase();
  const xdsPort = await freePort();
  const balancer = await startTcpProxy(xdsPort);
  const settings = {
    KUMA_STORE_TYPE: "postgres",
    KUMA_STORE_POSTGRES_HOST: address.host,
    KUMA_STORE_POSTGRES_PORT: String(address.port),
    KUMA_STORE_POSTGRES_USER: address.user,
    KUMA_STORE_POSTGRES_PASSWORD: address.password,
    KUMA_STORE_POSTGRES_DB_NAME: address.database,
    KUMA_CA_BUILTIN_WORKLOAD_CERT_VALIDITY: `${certificateSeconds}s`,
    KUMA_XDS_SERVER_GRPC_PORT: String(xdsPort),
    KUMA_BOOTSTRAP_SERVER_PARAMS_XDS_PORT: String(balancer.port),
  };
  const mesh = await openMeshStage(settings);
  const present = new Map<string, Member>();
  const envoys = new Set<number>();
  /** Former control planes: a killed one leaves its streams open in the store until others notice. */
  const former = new Set<string>();

  const ports = new Map<string, number>();

  function start(name: string, admin: number, tokenFile: string | undefined): Running {
    // In a terminal SIGHUP would end it.
    return startProgram("/usr/bin/setsid", [path.join(bin, "kuma-dp"), "run", `--admin-port=${admin}`], {
      KUMA_CONTROL_PLANE_BOOTSTRAP_SERVER_URL: mesh.cp.bootstrap,
      KUMA_DATAPLANE_NAME: name,
      KUMA_DATAPLANE_MESH: "default",
      KUMA_DATAPLANE_DRAIN_TIME: `${drainSeconds}s`,
      ...(tokenFile === undefined ? {} : { KUMA_DATAPLANE_RUNTIME_TOKEN_PATH: tokenFile }),
      TMPDIR: mesh.temporary,
    });
  }

  function member(name: string): Member {
    const found = present.get(name);
    if (found === undefined) throw new Error(`${name} has no sidecar`);
    return found;
  }

  const stage: ChaosStage = {
    mesh,
    database,
    balancer,
    random: seeded(0),
    flows: [],
    webOut: await freePort(),
    guest: {
      inbound: await freePort(),
      application: (await mesh.application(guest)).port,
    },
    applications: new Map(),
    dataplanes: new Map(),
    members: present,
    reloads,
    async restartControlPlane(signal) {
      const { cp } = mesh;
      for (const streams of (await subscriptions(cp.api)).values()) {
        for (const { controlPlaneInstanceId } of streams) former.add(controlPlaneInstanceId);
      }
      const same = {
        KUMA_API_SERVER_PORT: new URL(cp.api).port,
        KUMA_BOOTSTRAP_SERVER_PORT: new URL(cp.bootstrap).port,
        KUMA_XDS_SERVER_DIAGNOSTICS_PORT: new URL(cp.health).port,
        KUMA_SDS_SERVER_GRPC_PORT: String(cp.sdsPort),
        KUMA_DATAPLANE_TOKEN_SERVER_LOCAL_PORT: new URL(cp.tokens).port,
      };
      await (signal === "SIGKILL" ? cp.kill() : cp.stop());
      mesh.cp = await startControlPlane({ ...settings, ...same });
    },
    async port(purpose) {
      const port = ports.get(purpose) ?? (await freePort());
      ports.set(purpose, port);
      return port;
    },
    mtls: (enabled) => writeMesh(mesh, enabled),
    async apply(name, outbound = []) {
      const networking = stage.dataplanes.get(name);
      if (networking === undefined) throw new Error(`${name} has no Dataplane`);
      const all = [...(networking.outbound ?? []), ...outbound];
      await stage.write("dataplanes", "Dataplane", name, { networking: { ...networking, outbound: all } });
    },
    async join(name, inbound, token) {
      const admin = await stage.port(`admin server of ${name}`);
      const tokenFile = token === "no token" ? undefined : path.join(mesh.temporary, `${name}.token`);
      if (tokenFile !== undefined) fs.writeFileSync(tokenFile, await mesh.token(name), { mode: 0o600 });
      const joined = { name, admin, inbound, tokenFile, running: start(name, admin, tokenFile) };
      present.set(name, joined);
      return joined;
    },
    async leave(name) {
      await member(name).running.stop();
      present.delete(name);
    },
    restart(name) {
      const found = member(name);
      found.running = start(name, found.admin, found.tokenFile);
    },
    envoyOf(name) {
      const pids = childrenOf(member(name).running.child.pid);
      for (const pid of pids) envoys.add(pid);
      return pids[0];
    },
    async reload(name) {
      const { child } = member(name).running;
      const before = stage.envoyOf(name);
      const epoch = async (): Promise<number> => {
        const info = JSON.parse(await stage.ask(name, "/server_info"));
        return info.state === "LIVE" ? info.command_line_options.restart_epoch : -1;
      };
      const next = (await epoch()) + 1;
      child.kill("SIGHUP");
      await eventually(`the next Envoy of ${name} serves`, async () => (await epoch()) === next);
      await eventually(`it is the only Envoy of ${name}`, () => {
        const pids = childrenOf(child.pid);
        return pids.length === 1 && pids[0] !== before;
      });
    },
    ask: async (name, target) => (await fetch(`http://127.0.0.1:${member(name).admin}${target}`)).text(),
    write: (collection, type, name, rest) =>
      written(mesh, `/meshes/default/${collection}/${name}`, { type, mesh: "default", name, ...rest }),
    async remove(collection, name) {
      const target = `/meshes/default/${collection}/${name}`;
      const status = await mesh.remove(target);
      if (status !== 200) throw new Error(`DELETE ${target} was answered ${status}`);
    },
    async connected() {
      if (mesh.cp.child.exitCode !== null || mesh.cp.child.signalCode !== null) {
        throw new Error(`kuma-cp has ended: ${mesh.cp.output().slice(-2_000)}`);
      }
      for (const { name, running } of present.values()) {
        if (running.child.exitCode === null && running.child.signalCode === null) continue;
        throw new Error(`kuma-dp of ${name} has ended: ${running.output().slice(-2_000)}`);
      }
      await eventually("kuma-cp is ready", async () => (await fetch(`${mesh.cp.health}/ready`)).status === 200);
      await eventually(
        "each sidecar has an open stream to it",
        async () => {
          const all = await subscriptions(mesh.cp.api);
          const lacking = [...present.keys()].filter((name) => {
            const open = (all.get(name) ?? []).filter(({ disconnectTime }) => !disconnectTime);
            return !open.some(({ controlPlaneInstanceId }) => !former.has(controlPlaneInstanceId));
          });
          if (lacking.length > 0) throw new Error(`not so with ${lacking.join(", ")}`);
          return true;
        },
        60_000,
      );
      const withToken = [...present.values()].filter(({ tokenFile }) => tokenFile !== undefined).length;
      await eventually(
        "each sidecar has its streams of secrets",
        async () => {
          const metrics = await (await fetch(`${mesh.cp.health}/metrics`)).text();
          const active = Number(/^sds_streams_active (\d+)$/m.exec(metrics)?.[1]);
          return active >= secretStreams * withToken;
        },
        60_000,
      );
    },
    async penaltiesOver() {
      for (const name of clients) {
        const over = async () => !(await stage.ask(name, "/clusters")).includes("failed_outlier_check");
        await eventually(`${name} uses all instances`, over, 60_000);
      }
    },
    async close() {
      for (const name of present.keys()) stage.envoyOf(name);
      await Promise.all([...present.values()].map(({ running }) => running.stop()));
      for (const pid of envoys) endOrphan(pid);
      await mesh.close();
      await balancer.close();
      await database.close();
    },
  };

  try {
    return await furnish(stage, perSecond);
  } catch (error) {
    await stage.close();
    throw error;
  }
}

const writeMesh = (mesh: MeshStage, mtls: boolean) =>
  written(mesh, "/meshes/default", {
    type: "Mesh",
    name: "default",
    mtls: { enabled: mtls, ca: { builtin: {} } },
    logging: {
      defaultBackend: "file",
      backends: [{ name: "file", file: { path: path.join(mesh.temporary, "access.log") } }],
    },
  });

async function written(mesh: MeshStage, target: string, resource: object): Promise<void> {
  const response = await fetch(`${mesh.cp.api}${target}`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(resource),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`PUT ${target} was answered ${response.status}: ${text}`);
}

/** Writes the resources, starts the sidecars and waits until each client reaches each server. */
async function furnish(stage: ChaosStage, perSecond: number): Promise<ChaosStage> {
  const { mesh } = stage;
  await writeMesh(mesh, true);
  const toRedis = { sources: everybody, destinations: service("redis") };
  await stage.write("traffic-logs", "TrafficLog", "redis", toRedis);
  await stage.write("health-checks", "HealthCheck", "redis", {
    ...toRedis,
    conf: { passiveChecks: { unhealthyThreshold: 1, penaltyInterval: "1s" } },
  });
  await mesh.permit("redis", ["*"], ["redis"]);
  await mesh.permit("web", ["mobile"], ["web"]);
  const flows: Flow[] = [];
  const flow = (client: string, to: string, port: number, rate: number, longLived: number) => {
    flows.push({
      client,
      service: to,
      port,
      perSecond: rate,
      longLived,
      serves: (instance) => serviceOf(instance) === to,
    });
    return { interface: `:${port}`, service: to };
  };
  for (const name of members) {
    const inbound = await freePort();
    const application = await mesh.application(name);
    stage.applications.set(name, application);
    const outbound = (clients as readonly string[]).includes(name)
      ? [flow(name, "redis", await freePort(), perSecond, 3)]
      : [];
    if (name === "mobile-1") outbound.push(flow(name, "web", stage.webOut, perSecond, 1));
    stage.dataplanes.set(name, {
      inbound: [
        { interface: `127.0.0.1:${inbound}:${application.port}`, tags: { service: serviceOf(name), instance: name } },
      ],
      outbound,
    });
    await stage.apply(name);
    await stage.join(name, inbound);
  }
  for (const { port, service: to } of flows) {
    for (const name of members.filter((candidate) => serviceOf(candidate) === to)) await reaches(port, name);
  }
  await stage.connected();
  return Object.assign(stage, { flows });
}
