import { type Cause, UserError } from "../lib/errors.js";
import { isJsonObject, parseJson } from "../lib/json.js";
import type { Logger } from "../lib/logger.js";
import { visible } from "../lib/visible.js";
import type { Answer } from "../net/http-client.js";
import { readWarningHeader } from "../net/warning-header.js";
import { toJson } from "../resources/envelope.js";
import type { Resource, ResourceType } from "../resources/resource.js";
import { type AuthorityStatus, readAuthority } from "./authority.js";
import { foreignAnswer, foreignProtocol, shown } from "./foreign.js";
import { below, type Request, send } from "./http.js";
import { droppedWarnings, kumaVersion, olderError } from "./older.js";

const resourceTimeout = 60_000;
const catalogueTimeout = 10_000;

/** A connected proxy that has no Dataplane. */
export interface UnregisteredProxy {
  readonly mesh: string;
  readonly name: string;
  /** When it connected, as sent. */
  readonly connectTime: string;
}

/** The HTTP API of one control plane. Every method throws UserErrors whose text is the whole message. */
export interface ApiClient {
  /** The answer at a path below the address, whatever its status. `timeout` in milliseconds. */
  get(path: string, timeout: number): Promise<Answer>;
  /** The items as the control plane sent them. */
  list(path: string): Promise<readonly unknown[]>;
  /** The resource as sent, undefined when there is none. */
  find(type: ResourceType, mesh: string, name: string): Promise<unknown>;
  /** Creates or replaces; what the control plane warned of while it did. */
  put(type: ResourceType, resource: Resource): Promise<readonly string[]>;
  /** As `put`, except that the control plane only checks. Never stores anything, whatever kind of control plane it is. */
  tryPut(type: ResourceType, resource: Resource): Promise<readonly string[]>;
  /** False when there was nothing to delete. */
  delete(type: ResourceType, mesh: string, name: string): Promise<boolean>;
  catalogue(): Promise<unknown>;
  /** The certificate authorities of all meshes; none from a control plane that doesn't tell. */
  authorities(): Promise<readonly AuthorityStatus[]>;
  /** Proxies that are connected to it and have no Dataplane; none from a control plane that doesn't tell. */
  unregisteredProxies(): Promise<readonly UnregisteredProxy[]>;
  /** Which policies touch a Dataplane, as sent. */
  dataplanePolicies(mesh: string, name: string): Promise<unknown>;
  /** What a Dataplane's Envoy was sent last, or with `diff` what it has not acknowledged; as sent. */
  dataplaneConfig(mesh: string, name: string, diff: boolean): Promise<unknown>;
  /** Whether and how one service's traffic reaches another one, as sent. */
  explainTraffic(mesh: string, from: string, to: string): Promise<unknown>;
  /** Begins a rotation, or shows the one under way; undefined when there is no such mesh. */
  rotateAuthority(mesh: string): Promise<{ readonly begun: boolean; readonly status: AuthorityStatus } | undefined>;
}

/** The path of a type's resources. */
export function collectionPath(type: ResourceType, mesh: string): string {
  return type.scope === "global" ? type.path : `meshes/${segment(mesh)}/${type.path}`;
}

/** Resolving a URL would take `.` and `..` for directories, and so another path than the one that was meant. */
function segment(name: string): string {
  if (name === "" || name === "." || name === "..") throw UserError.of("name.invalid", { name });
  return encodeURIComponent(name);
}

function readCauses(value: unknown): Cause[] {
  if (!Array.isArray(value)) return [];
  return value.filter(isJsonObject).map(({ field, message }) => ({
    field: visible(String(field)),
    message: visible(String(message)),
  }));
}

/** The error of an answer that is no success: the control plane's own words, or what a stranger's looks like. */
export function failure(address: URL, answer: Answer): UserError {
  // What a server says is shown in one line: its line breaks must not look like lines of ours.
  const error = parseJson(answer.body);
  if (isJsonObject(error) && typeof error.title === "string" && typeof error.details === "string") {
    return UserError.of(
      "api.refused",
      { title: visible(error.title), details: visible(error.details) },
      { causes: readCauses(error.causes) },
    );
  }
  return foreignAnswer(address, answer);
}

/** Logs every exchange at debug. */
export function createApiClient(address: URL, logger: Logger): ApiClient {
  async function ask(method: Request["method"], path: string, more: Partial<Request> = {}): Promise<Answer> {
    const url = below(address, path);
    try {
      const answer = await send({ method, url, timeout: resourceTimeout, ...more });
      logger.debug("answered", { method, url: url.href, status: answer.status, bytes: answer.body.length });
      return answer;
    } catch (error) {
      logger.debug("failed", { method, url: url.href, error });
      throw (
        foreignProtocol(address, error instanceof UserError ? error.cause : error) ??
        UserError.of("api.unreachable", { address: shown(address), reason: error })
      );
    }
  }

  /** The error of an answer to a path that control planes of this release have. */
  async function refusalOf(path: string, answer: Answer): Promise<UserError> {
    const refusal = failure(address, answer);
    if (answer.status !== 404 || refusal.id === "api.refused") return refusal;
    const version = await ask("GET", "").then(kumaVersion, () => undefined);
    return version === undefined ? refusal : olderError(version, path);
  }

  async function read(path: string, more?: Partial<Request>): Promise<unknown> {
    const answer = await ask("GET", path, more);
    if (answer.status !== 200) throw await refusalOf(path, answer);
    const value = parseJson(answer.body);
    if (value !== undefined) return value;
    throw foreignAnswer(address, answer);
  }

  const itemPath = (type: ResourceType, mesh: string, name: string) => `${collectionPath(type, mesh)}/${segment(name)}`;

  async function write(path: string, body: unknown): Promise<readonly string[]> {
    const answer = await ask("PUT", path, { body: JSON.stringify(body) });
    if (answer.status !== 200 && answer.status !== 201) throw await refusalOf(path, answer);
    return readWarningHeader(answer.headers.warning).map(visible);
  }

  /**
   * A control plane that doesn't know dry runs would take one for the real thing. So the first question is one that
   * nobody can obey: a bad value of the parameter, with a document that is no resource. Only who knows it objects to it.
   */
  async function checkDryRuns(path: string): Promise<void> {
    const answer = await ask("PUT", `${path}?dry-run=unsure`, { body: "{}" });
    const { status, body } = answer;
    const error = parseJson(body);
    if (isJsonObject(error) && readCauses(error.causes).some(({ field }) => field === "dry-run")) return;
    if (status !== 400 && status !== 500) throw failure(address, answer);
    throw UserError.of("api.no-dry-run");
  }

  let dryRuns: Promise<void> | undefined;
  let drops: Promise<boolean> | undefined;

  /** Whether the control plane may have kept less than it was sent: ours refuse what they don't know. */
  async function mayDrop(): Promise<boolean> {
    const { status } = await ask("GET", "certificate-authorities");
    return status === 404;
  }

  async function find(path: string): Promise<unknown> {
    const answer = await ask("GET", path);
    if (answer.status === 404) return undefined;
    if (answer.status !== 200) throw failure(address, answer);
    return parseJson(answer.body);
  }

  /** What an older control plane has dropped of what it took. That it can't be told is no failure of the write. */
  async function dropped(path: string, sent: unknown): Promise<readonly string[]> {
    drops ??= mayDrop();
    const kept = await drops.then((may) => (may ? find(path) : undefined)).catch(() => undefined);
    return droppedWarnings(sent, kept);
  }

  return {
    get: (path, timeout) => ask("GET", path, { timeout }),
    async list(path) {
      const answer = await ask("GET", path);
      if (answer.status !== 200) throw await refusalOf(path, answer);
      const value = parseJson(answer.body);
      if (isJsonObject(value) && Array.isArray(value.items)) return value.items;
      throw foreignAnswer(address, answer);
    },
    find: async (type, mesh, name) => find(itemPath(type, mesh, name)),
    async put(type, resource) {
      const path = itemPath(type, resource.mesh, resource.name);
      const body = toJson(resource);
      const warnings = await write(path, body);
      return [...warnings, ...(await dropped(path, body))];
    },
    async tryPut(type, resource) {
      const path = itemPath(type, resource.mesh, resource.name);
      dryRuns ??= checkDryRuns(path);
      await dryRuns;
      return write(`${path}?dry-run=true`, toJson(resource));
    },
    async delete(type, mesh, name) {
      const path = itemPath(type, mesh, name);
      // Kuma 0.3.0 answers 200 whether or not there was something. It is asked to delete in any case: what a deletion of
      // a mesh that was cut short has left goes with it.
      const existed = (await find(path)) !== undefined;
      const answer = await ask("DELETE", path);
      if (answer.status === 404) return false;
      if (answer.status !== 200) throw failure(address, answer);
      return existed;
    },
    catalogue: () => read("catalogue", { timeout: catalogueTimeout }),
    async authorities() {
      const answer = await ask("GET", "certificate-authorities");
      if (answer.status === 404) return [];
      if (answer.status !== 200) throw failure(address, answer);
      const value = parseJson(answer.body);
      const items: unknown[] = isJsonObject(value) && Array.isArray(value.items) ? value.items : [];
      return items.map(readAuthority).filter((status) => status !== undefined);
    },
    async unregisteredProxies() {
      const answer = await ask("GET", "unregistered-proxies");
      if (answer.status === 404) return [];
      if (answer.status !== 200) throw failure(address, answer);
      const value = parseJson(answer.body);
      const items: unknown[] = isJsonObject(value) && Array.isArray(value.items) ? value.items : [];
      return items.filter(isJsonObject).map(({ mesh, name, connectTime }) => ({
        mesh: String(mesh),
        name: String(name),
        connectTime: String(connectTime),
      }));
    },
    dataplanePolicies: (mesh, name) => read(`meshes/${segment(mesh)}/dataplanes/${segment(name)}/policies`),
    dataplaneConfig: (mesh, name, diff) =>
      read(`meshes/${segment(mesh)}/dataplanes/${segment(name)}/xds${diff ? "?diff=true" : ""}`),
    explainTraffic: (mesh, from, to) => read(`meshes/${segment(mesh)}/explain?${new URLSearchParams({ from, to })}`),
    async rotateAuthority(mesh) {
      const path = `meshes/${segment(mesh)}`;
      const answer = await ask("POST", `${path}/certificate-authority/rotate`);
      if (answer.status === 404) {
        // An older control plane doesn't have the path, whether or not it has the mesh.
        if ((await ask("GET", path)).status !== 200) return undefined;
        throw UserError.of("api.no-rotation");
      }
      if (answer.status !== 200 && answer.status !== 202) throw failure(address, answer);
      const status = readAuthority(parseJson(answer.body));
      if (status !== undefined) return { begun: answer.status === 202, status };
      throw UserError.of("api.no-authority", { address: address.href });
    },
  };
}
