import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import { type ControlPlane, put, startControlPlane } from "../support/executable.js";
import { type MeshStage, openMeshStage, reaches, type Sidecar } from "../support/mesh-stage.js";
import { freePort } from "../support/ports.js";
import { type Address, type PostgresServer, startPostgres } from "../support/postgres.js";
import { suite } from "../support/suite.js";

const test = suite("raw resources that another control plane stored", { needs: ["envoy", "postgres"] });

let server: PostgresServer;
let address: Address;
let env: Readonly<Record<string, string>>;
let stage: MeshStage;
const others: ControlPlane[] = [];
const ports = { web: 0, late: 0 };

test.before(async () => {
  server = await startPostgres();
  address = await server.createDatabase();
  env = {
    KUMA_STORE_TYPE: "postgres",
    KUMA_STORE_POSTGRES_HOST: address.host,
    KUMA_STORE_POSTGRES_PORT: String(address.port),
    KUMA_STORE_POSTGRES_USER: address.user,
    KUMA_STORE_POSTGRES_PASSWORD: address.password,
    KUMA_STORE_POSTGRES_DB_NAME: address.database,
  };
  stage = await openMeshStage(env);
  for (const key of Object.keys(ports) as (keyof typeof ports)[]) ports[key] = await freePort();
  const app = await stage.application("app");
  for (const name of ["web", "late"] as const) {
    await stage.apply(name, {
      inbound: [{ interface: `127.0.0.1:${ports[name]}:${app.port}`, tags: { service: name } }],
    });
  }
});
test.after(async () => {
  for (const other of others) await other.stop();
  await stage.close();
  await server.close();
});

async function startOther(): Promise<ControlPlane> {
  const other = await startControlPlane(env);
  others.push(other);
  return other;
}

const raw = (name: string, more: object = {}) => ({
  name,
  version: "v1",
  resource: JSON.stringify({
    "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
    name,
    type: "STATIC",
    connectTimeout: "1s",
    ...more,
  }),
});
/** A field that our API lacks, and the Envoy beside us has. */
const newer = { perConnectionBufferHighWatermarkTimeout: "7s" };

interface DumpedCluster {
  readonly name: string;
  readonly per_connection_buffer_high_watermark_timeout?: string;
}

/** The raw clusters that a sidecar uses, those with the newer field marked. */
async function rawClusters(sidecar: Sidecar): Promise<string> {
  const dump = JSON.parse(await sidecar.ask("/config_dump?resource=dynamic_active_clusters")) as {
    readonly configs?: readonly { readonly cluster: DumpedCluster }[];
  };
  return (dump.configs ?? [])
    .map(({ cluster }) => cluster)
    .filter(({ name }) => !name.startsWith("localhost:"))
    .map((cluster) => `${cluster.name}${cluster.per_connection_buffer_high_watermark_timeout === "7s" ? " newer" : ""}`)
    .sort()
    .join(", ");
}

test("fields newer than our API arrive unchanged at a control plane that did not validate them", async () => {
  const web = await stage.sidecar("web", { token: "" });
  await reaches(ports.web, "app");
  const other = await startOther();
  const template = {
    type: "ProxyTemplate",
    mesh: "default",
    name: "t",
    imports: ["default-proxy"],
    resources: [raw("old"), raw("new", newer)],
  };
  assert.is(await put(other.api, "/meshes/default/proxytemplates/t", template), 201);
  await eventually("both are there", async () => (await rawClusters(web)) === "new newer, old");
  await reaches(ports.web, "app");
  assert.not.match(stage.cp.output(), "has no effect");
});

test("a resource that can't be decoded is left out and reported, and everything else is in the first response", async () => {
  const sql = server.superuser(address.database);
  // As a version of tomorrow would have stored it.
  const [row] = await sql`SELECT spec::text AS spec FROM resources WHERE type = 'ProxyTemplate'`;
  const spec = JSON.parse(String(row?.spec)) as { resources: object[] };
  spec.resources.splice(1, 0, raw("tomorrow", { ofTomorrow: 1 }));
  await sql`UPDATE resources SET spec = ${JSON.stringify(spec)} WHERE type = 'ProxyTemplate'`;
  const other = await startOther();
  const late = await stage.sidecar("late", {
    token: "",
    env: { KUMA_CONTROL_PLANE_BOOTSTRAP_SERVER_URL: other.bootstrap },
  });
  await reaches(ports.late, "app");
  assert.is(await rawClusters(late), "new newer, old");
  const said = other
    .output()
    .split("\n")
    .filter((line) => line.includes("has no effect"));
  assert.is(said.length, 1);
  assert.match(
    said[0] ?? "",
    /resources\[1\]\.resource.*ofTomorrow: unknown field .*checked against the API of Envoy 1\.\d+\.\d+/,
  );
});

test.run();
