import fs from "node:fs";
import path from "node:path";
import { eventually } from "../../support/eventually.js";
import { put, type Running, startControlPlane, startProgram } from "../../support/executable.js";
import { type MeshStage, openMeshStage, reaches } from "../../support/mesh-stage.js";
import { freePort } from "../../support/ports.js";
import { type PostgresServer, startPostgres } from "../../support/postgres.js";
import { seeded } from "../../support/random.js";
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

/** A sidecar's process and what is known of it; its ports stay the same over restarts. */
export interface Member {
  readonly name: string;
  readonly admin: number;
  readonly inbound: number;
  readonly tokenFile: string;
  running: Running;
}

export interface ChaosStage {
  readonly mesh: MeshStage;
  readonly database: PostgresServer;
  /** Decides what an event leaves open; each event is given one of its own seed. */
  random: ReturnType<typeof seeded>;
  readonly flows: readonly Flow[];
  /** Where mobile-1 finds the service web, whose permission comes and goes. */
  readonly webOut: number;
  /** The ports that the guest has whenever it is there. */
  readonly guest: { readonly inbound: number; readonly admin: number; readonly application: number };
  /** Of all that have a sidecar at present. */
  readonly members: ReadonlyMap<string, Member>;
  /** Ends the control plane by a signal and starts another one on its store and ports. */
  restartControlPlane(signal: "SIGKILL" | "SIGTERM"): Promise<void>;
  /** Starts the sidecar of a dataplane that was applied. */
  join(name: string, inbound: number): Promise<Member>;
  /** Stops a sidecar in order, for good. */
  leave(name: string): Promise<void>;
  /** Starts a sidecar that has ended anew, with its ports and its token. */
  restart(name: string): void;
  /** The process id of a sidecar's Envoy; undefined when it has none. */
  envoyOf(name: string): number | undefined;
  ask(name: string, path: string): Promise<string>;
  /** PUTs a resource of the mesh; throws when it is refused. */
  write(collection: string, type: string, name: string, rest: object): Promise<void>;
  remove(collection: string, name: string): Promise<void>;
  /** Waits until the control plane is ready and each sidecar has an open stream to it. */
  connected(): Promise<void>;
  /** Waits until no client's passive health check keeps connections away from an instance any more. */
  penaltiesOver(): Promise<void>;
  close(): Promise<void>;
}

export interface StageOptions {
  /** A lower one brings more renewals; Envoys have a fifth of it to find a control plane that was restarted. */
  readonly certificateSeconds: number;
  /** New connections a second for each client. */
  readonly perSecond: number;
}

const everybody = [{ match: { service: "*" } }];
export const service = (name: string) => [{ match: { service: name } }];

function childOf(pid: number | undefined): number | undefined {
  try {
    const child = Number(fs.readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ")[0]);
    return child > 0 ? child : undefined;
  } catch {
    // The process has ended, and its children are nobody's to tell.
    return undefined;
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
export async function openChaosStage({ certificateSeconds, perSecond }: StageOptions): Promise<ChaosStage> {
  const database = await startPostgres();
  const address = await database.createDatabase();
  const settings = {
    KUMA_STORE_TYPE: "postgres",
    KUMA_STORE_POSTGRES_HOST: address.host,
    KUMA_STORE_POSTGRES_PORT: String(address.port),
    KUMA_STORE_POSTGRES_USER: address.user,
    KUMA_STORE_POSTGRES_PASSWORD: address.password,
    KUMA_STORE_POSTGRES_DB_NAME: address.database,
    KUMA_CA_BUILTIN_WORKLOAD_CERT_VALIDITY: `${certificateSeconds}s`,
  };
  const mesh = await openMeshStage(settings);
  const present = new Map<string, Member>();
  const envoys = new Set<number>();
  /** Control planes that are no more: a killed one leaves its streams open in the store until others notice. */
  const former = new Set<string>();

  function start(name: string, admin: number, tokenFile: string): Running {
    return startProgram("kuma-dp", ["run", `--admin-port=${admin}`], {
      KUMA_CONTROL_PLANE_BOOTSTRAP_SERVER_URL: mesh.cp.bootstrap,
      KUMA_DATAPLANE_NAME: name,
      KUMA_DATAPLANE_MESH: "default",
      KUMA_DATAPLANE_DRAIN_TIME: `${drainSeconds}s`,
      KUMA_DATAPLANE_RUNTIME_TOKEN_PATH: tokenFile,
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
    random: seeded(0),
    flows: [],
    webOut: await freePort(),
    guest: {
      inbound: await freePort(),
      admin: await freePort(),
      application: (await mesh.application(guest)).port,
    },
    members: present,
    async restartControlPlane(signal) {
      const { cp } = mesh;
      for (const streams of (await subscriptions(cp.api)).values()) {
        for (const { controlPlaneInstanceId } of streams) former.add(controlPlaneInstanceId);
      }
      const same = {
        KUMA_API_SERVER_PORT: new URL(cp.api).port,
        KUMA_BOOTSTRAP_SERVER_PORT: new URL(cp.bootstrap).port,
        KUMA_XDS_SERVER_GRPC_PORT: String(cp.xdsPort),
        KUMA_XDS_SERVER_DIAGNOSTICS_PORT: new URL(cp.health).port,
        KUMA_SDS_SERVER_GRPC_PORT: String(cp.sdsPort),
        KUMA_DATAPLANE_TOKEN_SERVER_LOCAL_PORT: new URL(cp.tokens).port,
      };
      await (signal === "SIGKILL" ? cp.kill() : cp.stop());
      mesh.cp = await startControlPlane({ ...settings, ...same });
    },
    async join(name, inbound) {
      const admin = name === guest ? stage.guest.admin : await freePort();
      const tokenFile = path.join(mesh.temporary, `${name}.token`);
      fs.writeFileSync(tokenFile, await mesh.token(name), { mode: 0o600 });
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
      const pid = childOf(member(name).running.child.pid);
      if (pid !== undefined) envoys.add(pid);
      return pid;
    },
    ask: async (name, target) => (await fetch(`http://127.0.0.1:${member(name).admin}${target}`)).text(),
    async write(collection, type, name, rest) {
      const target = `/meshes/default/${collection}/${name}`;
      const response = await fetch(`${mesh.cp.api}${target}`, {
        method: "PUT",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ type, mesh: "default", name, ...rest }),
      });
      const text = await response.text();
      if (!response.ok) throw new Error(`PUT ${target} was answered ${response.status}: ${text}`);
    },
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

/** Writes the resources, starts the sidecars and waits until each client reaches each server. */
async function furnish(stage: ChaosStage, perSecond: number): Promise<ChaosStage> {
  const { mesh } = stage;
  await put(mesh.cp.api, "/meshes/default", {
    type: "Mesh",
    name: "default",
    mtls: { enabled: true, ca: { builtin: {} } },
    logging: {
      defaultBackend: "file",
      backends: [{ name: "file", file: { path: path.join(mesh.temporary, "access.log") } }],
    },
  });
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
    const { port } = await mesh.application(name);
    const outbound = (clients as readonly string[]).includes(name)
      ? [flow(name, "redis", await freePort(), perSecond, 3)]
      : [];
    if (name === "mobile-1") outbound.push(flow(name, "web", stage.webOut, perSecond, 1));
    await stage.write("dataplanes", "Dataplane", name, {
      networking: {
        inbound: [{ interface: `127.0.0.1:${inbound}:${port}`, tags: { service: serviceOf(name), instance: name } }],
        outbound,
      },
    });
    await stage.join(name, inbound);
  }
  for (const { port, service: to } of flows) {
    for (const name of members.filter((candidate) => serviceOf(candidate) === to)) await reaches(port, name);
  }
  await stage.connected();
  return Object.assign(stage, { flows });
}
