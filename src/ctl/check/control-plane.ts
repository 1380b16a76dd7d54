import { UserError } from "../../lib/errors.js";
import { isJsonObject, parseJson } from "../../lib/json.js";
import type { Answer } from "../../net/http-client.js";
import { dataplaneOverviewType } from "../../resources/dataplane-overview.js";
import { fromJson } from "../../resources/envelope.js";
import { type Mesh, meshType, mtlsEnabled } from "../../resources/mesh.js";
import { collectionPath } from "../api-client.js";
import type { Connection } from "../connection.js";
import { resolvesToLoopback } from "../loopback.js";
import type { ControlPlane, FoundProblem, Index, Scope } from "./context.js";
import { type MeshState, type ProxyState, readProxy } from "./proxy.js";
import { readStatus } from "./status.js";

export const isKuma = ({ status, tagline }: Index): boolean => status === 200 && tagline === "Kuma";

export async function answersAsKuma(controlPlane: ControlPlane): Promise<boolean> {
  try {
    return isKuma(await controlPlane.index());
  } catch (error) {
    if (error instanceof UserError) return false;
    throw error;
  }
}

/** The value at a dotted path in a settings document; undefined when there is none. */
export function settingAt(document: unknown, path: string): unknown {
  let place = document;
  for (const step of path.split(".")) place = isJsonObject(place) ? place[step] : undefined;
  return place;
}

/**
 * The current time by the control plane's clock, which issues the certificates, or by ours when the control plane's is
 * unknown.
 */
export async function timeAt({ machine, controlPlane }: { machine: { now(): Date }; controlPlane: ControlPlane }) {
  const { ahead = 0 } = await controlPlane.index();
  return new Date(machine.now().getTime() + ahead);
}

const firstAnswerMs = 5_000;
/** The control plane waits up to 5 s for its store, and computing the problems of a large mesh takes time. */
const slowAnswerMs = 30_000;

/** The header has a resolution of one second, and servers update it once a second. */
const headerErrorMs = 1_000;

/** The least by which the other clock is ahead, after subtracting what the duration of the exchange can explain. */
function clockAhead(date: string | undefined, sent: number, received: number): number | undefined {
  const serverTime = Date.parse(date ?? "");
  if (Number.isNaN(serverTime)) return undefined;
  // The response was created between `sent` and `received`, when the other clock showed between `serverTime` and `serverTime` plus
  // two header errors.
  if (serverTime > received) return serverTime - received;
  const latest = serverTime + 2 * headerErrorMs;
  return latest < sent ? latest - sent : 0;
}

function readIndex({ status, body, headers }: Answer, sent: number, received: number): Index {
  const document = parseJson(body);
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

/** Calls `ask` once and returns its promise to every caller, whether it resolves or rejects. */
function once<T>(ask: () => Promise<T>): () => Promise<T> {
  let asked: Promise<T> | undefined;
  return () => {
    asked ??= ask();
    return asked;
  };
}

function readMesh(item: unknown): MeshState {
  const { envelope, spec } = fromJson<Mesh>(meshType, item, "lenient");
  return { name: envelope.name ?? "", mtls: mtlsEnabled(spec) };
}

/** The document in a response; undefined when an older control plane does not have the path. */
function readNewer(path: string, { status, body }: Answer): unknown {
  if (status === 404) return undefined;
  const document = status === 200 ? parseJson(body) : undefined;
  if (document !== undefined) return document;
  throw UserError.of("api.status", { path, status });
}

/** Whether the response says that the mesh was deleted after it was listed. */
function isMeshGone({ status, body }: Answer): boolean {
  const document = status === 404 ? parseJson(body) : undefined;
  const causes = isJsonObject(document) && Array.isArray(document.causes) ? document.causes : [];
  return causes.some((cause) => isJsonObject(cause) && cause.field === "mesh");
}

function readProblems(mesh: string, document: unknown): FoundProblem[] {
  const problems = isJsonObject(document) && Array.isArray(document.problems) ? document.problems : [];
  return problems.filter(isJsonObject).flatMap(({ code, message, dataplanes }) => {
    if (typeof code !== "string" || typeof message !== "string") return [];
    const names = (Array.isArray(dataplanes) ? dataplanes : []).filter((name) => typeof name === "string");
    return [{ mesh, code, message, dataplanes: names }];
  });
}

/** The control plane of a connection. `now` returns milliseconds since 1970. */
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
        return await resolvesToLoopback((await connection()).address.hostname);
      } catch {
        // The configuration has no address, or its host does not resolve: in any case it is not this machine.
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
      return status === 200 ? parseJson(body) : undefined;
    }),
    status: once(async () => {
      const { client } = await connection();
      return readStatus(readNewer("status", await client.get("status", slowAnswerMs)));
    }),
    problems: once(async () => {
      const { client } = await connection();
      const found: FoundProblem[] = [];
      for (const { name } of await meshes()) {
        const path = `meshes/${encodeURIComponent(name)}/problems`;
        const answer = await client.get(path, slowAnswerMs);
        if (isMeshGone(answer)) continue;
        const document = readNewer(path, answer);
        if (document === undefined) return undefined;
        found.push(...readProblems(name, document));
      }
      return found;
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
