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
  /** When it connected, as the API returns it. */
  readonly connectTime: string;
}

/** A client of one control plane's HTTP API. Every method throws UserErrors whose message can be shown as it is. */
export interface ApiClient {
  /** The response for a path below the address, whatever its status. `timeout` is in milliseconds. */
  get(path: string, timeout: number): Promise<Answer>;
  /** The items as the control plane returned them. */
  list(path: string): Promise<readonly unknown[]>;
  /** The resource as returned; undefined when it does not exist. */
  find(type: ResourceType, mesh: string, name: string): Promise<unknown>;
  /** Creates or replaces a resource. Resolves with the control plane's warnings. */
  put(type: ResourceType, resource: Resource): Promise<readonly string[]>;
  /** Validates like `put`, but never stores anything, even on a control plane without dry runs. */
  tryPut(type: ResourceType, resource: Resource): Promise<readonly string[]>;
  /** False when there was nothing to delete. */
  delete(type: ResourceType, mesh: string, name: string): Promise<boolean>;
  catalogue(): Promise<unknown>;
  /** The certificate authorities of all meshes; empty when the control plane does not report them. */
  authorities(): Promise<readonly AuthorityStatus[]>;
  /** Connected proxies without a Dataplane; empty when the control plane does not report them. */
  unregisteredProxies(): Promise<readonly UnregisteredProxy[]>;
  /** The policies that affect a Dataplane, as the API returns them. */
  dataplanePolicies(mesh: string, name: string): Promise<unknown>;
  /**
   * The configuration last sent to a Dataplane's Envoy, or with `diff` what it has not acknowledged, as the API returns
   * it.
   */
  dataplaneConfig(mesh: string, name: string, diff: boolean): Promise<unknown>;
  /** Whether and how traffic from one service reaches another, as the API returns it. */
  explainTraffic(mesh: string, from: string, to: string): Promise<unknown>;
  /** Starts a rotation, or returns the one in progress; undefined when the mesh does not exist. */
  rotateAuthority(mesh: string): Promise<{ readonly begun: boolean; readonly status: AuthorityStatus } | undefined>;
}

/** The API path of a type's resources in a mesh. */
export function collectionPath(type: ResourceType, mesh: string): string {
  return type.scope === "global" ? type.path : `meshes/${segment(mesh)}/${type.path}`;
}

/** Rejects `.` and `..`, which URL resolution would treat as directories: the request would go to another path. */
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

/**
 * Converts an error response: the control plane's own message, or a description of the answer when it comes from
 * another server.
 */
export function failure(address: URL, answer: Answer): UserError {
  // Shown in one line, so that line breaks from a server can't imitate our own lines.
  const error = parseJson(answer.body);
  if (isJsonObject(error) && typeof error.title === "string" && typeof error.details === "string") {
    return UserError.of(
      answer.status === 405 ? "api.read-only" : "api.refused",
      { title: visible(error.title), details: visible(error.details) },
      { causes: readCauses(error.causes) },
    );
  }
  return foreignAnswer(address, answer);
}

/** Creates a client that logs every exchange at debug level. */
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

  /** The error for a path that every control plane of this release has. */
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
   * A control plane without dry runs would apply the resource. So the first request cannot succeed: it has an invalid
   * value of the parameter and a document that is not a resource. Only a control plane that knows the parameter rejects
   * that value.
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

  /** Whether the control plane may drop fields: those of this release reject unknown fields. */
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

  /**
   * Warnings about fields that an older control plane has dropped. When that can't be determined, the write still
   * counts as successful.
   */
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
      // Kuma 0.3.0 answers 200 whether or not the resource existed. The request is sent in any case, because it also
      // removes what an interrupted deletion of a mesh left behind.
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
        // An older control plane lacks this path, whether or not the mesh exists.
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
