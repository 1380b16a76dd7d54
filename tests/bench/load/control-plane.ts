// The control plane under load: the built executable, on ports that stay the same when it starts again.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { createServerCertificate, type ServerCertificate } from "../../../src/identity/server-certificate.js";
import { type ControlPlane, put, startControlPlane } from "../../support/executable.js";
import { freePort } from "../../support/ports.js";
import { type PostgresServer, startPostgres } from "../../support/postgres.js";
import type { ProxyToken, Servers } from "../storm-proxy.js";
import type { LoadMesh, Write } from "./mesh.js";

export type StoreType = "memory" | "postgres";

export interface LoadedControlPlane {
  readonly servers: Servers;
  /** What the SDS server presents, so that a floor can present the same. */
  readonly pair: ServerCertificate;
  /** Of the process that runs now. */
  readonly pid: () => number;
  readonly health: () => string;
  write(write: Write): Promise<void>;
  /** Writes the mesh; a store in memory has forgotten it after `restart`. */
  fill(mesh: LoadMesh): Promise<void>;
  tokens(mesh: LoadMesh): Promise<ProxyToken[]>;
  /** Kills it, as a crash does, and starts it again. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

/** Waits for a server's answer many at a time: filling is not what is measured. */
const atOnce = 8;

async function forEach<T>(items: Iterable<T>, body: (item: T) => Promise<void>): Promise<void> {
  const left = items[Symbol.iterator]();
  async function work(): Promise<void> {
    for (let next = left.next(); next.done !== true; next = left.next()) await body(next.value);
  }
  await Promise.all(Array.from({ length: atOnce }, work));
}

/** @param directory that the certificate's files are put into */
export async function startLoadedControlPlane(directory: string, storeType: StoreType): Promise<LoadedControlPlane> {
  const pair = await createServerCertificate({ commonName: "kuma-sds", hosts: ["localhost"], now: new Date() });
  const file = (name: string, content: string) => {
    const where = path.join(directory, name);
    writeFileSync(where, content, { mode: 0o600 });
    return where;
  };
  const database: PostgresServer | undefined = storeType === "postgres" ? await startPostgres() : undefined;
  const address = await database?.createDatabase();
  const env = {
    KUMA_SDS_SERVER_TLS_CERT_FILE: file("cert.pem", pair.cert),
    KUMA_SDS_SERVER_TLS_KEY_FILE: file("key.pem", pair.key),
    KUMA_XDS_SERVER_GRPC_PORT: String(await freePort()),
    KUMA_SDS_SERVER_GRPC_PORT: String(await freePort()),
    ...(address === undefined
      ? {}
      : {
          KUMA_STORE_TYPE: "postgres",
          KUMA_STORE_POSTGRES_HOST: address.host,
          KUMA_STORE_POSTGRES_PORT: String(address.port),
          KUMA_STORE_POSTGRES_USER: address.user,
          KUMA_STORE_POSTGRES_PASSWORD: address.password,
          KUMA_STORE_POSTGRES_DB_NAME: address.database,
        }),
  };
  let cp: ControlPlane = await startControlPlane(env);

  async function write({ path: where, body }: Write): Promise<void> {
    const status = await put(cp.api, where, body);
    if (status >= 300) throw new Error(`PUT ${where} was answered ${status}`);
  }

  return {
    servers: { xds: `localhost:${cp.xdsPort}`, sds: `localhost:${cp.sdsPort}`, root: pair.cert },
    pair,
    pid: () => cp.child.pid ?? 0,
    health: () => cp.health,
    write,
    async fill(mesh) {
      const mtls = mesh.size.mtls ? { mtls: { enabled: true, ca: { builtin: {} } } } : {};
      await write({ path: "/meshes/default", body: { type: "Mesh", name: "default", ...mtls } });
      await forEach(mesh.writes(), write);
    },
    async tokens({ proxies, size: { mtls } }) {
      const tokens: ProxyToken[] = proxies.map((name) => ({ mesh: "default", name, token: "" }));
      if (!mtls) return tokens;
      await forEach(proxies.keys(), async (index) => {
        const name = proxies[index] ?? "";
        const body = JSON.stringify({ name, mesh: "default" });
        const answer = await fetch(`${cp.tokens}/tokens`, { method: "POST", body });
        if (!answer.ok) throw new Error(`no token for ${name}: the server answered ${answer.status}`);
        tokens[index] = { mesh: "default", name, token: await answer.text() };
      });
      return tokens;
    },
    async restart() {
      await cp.kill();
      cp = await startControlPlane(env);
    },
    async close() {
      await cp.stop();
      await database?.close();
    },
  };
}
