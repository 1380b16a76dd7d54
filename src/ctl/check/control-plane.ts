import { UserError } from "../../lib/errors.js";
import { dataplaneOverviewType } from "../../resources/dataplane-overview.js";
import { fromJson } from "../../resources/envelope.js";
import { type Mesh, meshType } from "../../resources/mesh.js";
import { isJsonObject } from "../../resources/schema.js";
import { collectionPath } from "../api-client.js";
import type { Connection } from "../connection.js";
import type { Answer } from "../http.js";
import { isLoopback } from "../loopback.js";
import type { ControlPlane, Index, MeshState, Scope } from "./context.js";
import { type ProxyState, readProxy } from "./proxy.js";

export const isKuma = ({ status, tagline }: Index): boolean => status === 200 && tagline === "Kuma";

export async function answersAsKuma(controlPlane: ControlPlane): Promise<boolean> {
  try {
    return isKuma(await controlPlane.index());
  } catch (error) {
    if (error instanceof UserError) return false;
    throw error;
  }
}

/** What a dotted path leads to in a document of settings; undefined where it leads nowhere. */
export function settingAt(document: unknown, path: string): unknown {
  let place = document;
  for (const step of path.split(".")) place = isJsonObject(place) ? place[step] : undefined;
  return place;
}

/** The time by the control plane's clock, which is the one that certificates are made by; by ours where it tells none. */
export async function timeAt({ machine, controlPlane }: { machine: { now(): Date }; controlPlane: ControlPlane }) {
  const { ahead = 0 } = await controlPlane.index();
  return new Date(machine.now().getTime() + ahead);
}

const firstAnswerMs = 5_000;

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

/** The header has whole seconds, and servers renew it once a second. */
const headerErrorMs = 1_000;

/** How far the other clock is ahead at least: what the exchange's own duration can't explain. */
function clockAhead(date: string | undefined, sent: number, received: number): number | undefined {
  const told = Date.parse(date ?? "");
  if (Number.isNaN(told)) return undefined;
  // The answer was made between `sent` and `received`, at a time from `told` to two errors of the header later.
  if (told > received) return told - received;
  const latest = told + 2 * headerErrorMs;
  return latest < sent ? latest - sent : 0;
}

function readIndex({ status, body, headers }: Answer, sent: number, received: number): Index {
  const document = parse(body);
  const word = (key: string) => {
    const value = isJsonObject(document) ? document[key] : undefined;
    return typeof value === "string" ? value : "";
  };
  return {
    status,
    tagline: word("tagline"),
    version: word("version"),
    ahead: clockAhead(headers.date, sent, received),
  };
}

/** The same promise for every call, whether it is kept or broken. */
function once<T>(ask: () => Promise<T>): () => Promise<T> {
  let asked: Promise<T> | undefined;
  return () => {
    asked ??= ask();
    return asked;
  };
}

function readMesh(item: unknown): MeshState {
  const { envelope, spec } = fromJson<Mesh>(meshType, item, "lenient");
  return { name: envelope.name ?? "", mtls: spec.mtls?.enabled === true };
}

/** The control plane at the other end of a connection; `now` gives milliseconds since 1970. */
export function askControlPlane(connect: () => Promise<Connection>, { mesh }: Scope, now: () => number): ControlPlane {
  const connection = once(connect);
  const meshes = once(async () => {
    const { client } = await connection();
    const all = (await client.list(collectionPath(meshType, ""))).map(readMesh);
    return mesh === undefined ? all : all.filter(({ name }) => name === mesh);
  });
  return {
    address: async () => (await connection()).address,
    isLocal: once(async () => {
      try {
        return await isLoopback((await connection()).address.hostname);
      } catch {
        // A configuration without an address, or a host without one: whatever it means, it is not this machine.
        return false;
      }
    }),
    index: once(async () => {
      const { client } = await connection();
      const sent = now();
      const answer = await client.get("", firstAnswerMs);
      return readIndex(answer, sent, now());
    }),
    settings: once(async () => {
      const { client } = await connection();
      const { status, body } = await client.get("config", firstAnswerMs);
      return status === 200 ? parse(body) : undefined;
    }),
    meshes,
    authorities: once(async () => {
      const names = new Set((await meshes()).map(({ name }) => name));
      const { client } = await connection();
      return (await client.authorities()).filter((authority) => names.has(authority.mesh));
    }),
    proxies: once(async () => {
      const { client } = await connection();
      const proxies: ProxyState[] = [];
      for (const state of await meshes()) {
        const items = await client.list(collectionPath(dataplaneOverviewType, state.name));
        proxies.push(...items.map((item) => readProxy(state, item)));
      }
      return proxies;
    }),
    unregistered: once(async () => {
      const { client } = await connection();
      const all = await client.unregisteredProxies();
      return mesh === undefined ? all : all.filter((proxy) => proxy.mesh === mesh);
    }),
  };
}
