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
/** The store of a control plane may hang, for which it waits 5 s; the problems of a large mesh take it a moment. */
const slowAnswerMs = 30_000;

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
  return { name: envelope.name ?? "", mtls: mtlsEnabled(spec) };
}

/** The document of an answer; undefined where the control plane has no such path, because it is older. */
function readNewer(path: string, { status, body }: Answer): unknown {
  if (status === 404) return undefined;
  const document = status === 200 ? parseJson(body) : undefined;
  if (document !== undefined) return document;
  throw UserError.of("api.status", { path, status });
}

/** Whether an answer says that the mesh it is about was deleted since it was listed. */
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
        return await resolvesToLoopback((await connection()).address.hostname);
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
