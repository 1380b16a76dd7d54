import type { Steps } from "../../lib/steps.js";
import type { HttpReply, HttpRequest } from "../../net/exchange.js";
import { warningHeader } from "../../net/warning-header.js";
import { dataplaneInsightType } from "../../resources/dataplane-insight.js";
import type { Resource, ResourceType } from "../../resources/resource.js";
import { readStored } from "../../store/read.js";
import { type Key, type Store, type Stored, StoreError } from "../../store/store.js";
import { changeWarnings } from "../warnings/warnings.js";
import { readResource, workOn } from "./body.js";
import type { MeshAuthorities, WriteContext } from "./endpoint.js";
import { errors, type Title, titles } from "./errors.js";
import { type Renderer, render } from "./rendering.js";

const created: HttpReply = { status: 201 };
const ok: HttpReply = { status: 200 };

/** Adds a `Warning` header with these sentences. */
function withWarnings(reply: HttpReply, warnings: readonly string[]): HttpReply {
  if (warnings.length === 0) return reply;
  return { ...reply, headers: { Warning: warningHeader(warnings) } };
}

/** An error with the failed operation, the title of the response. */
export class FailedOperation extends Error {
  readonly title: string;

  constructor(title: string, cause: unknown) {
    super(title, { cause });
    this.title = title;
  }
}

const during = <T>(title: Title, work: Promise<T>): Promise<T> =>
  work.catch((error: unknown) => {
    throw new FailedOperation(title, error);
  });

/**
 * Creates or replaces a resource. With `dry-run=true` every check runs and the status is the same, but nothing is
 * stored.
 */
export async function put(
  { store, renderer, authorities, checks, logger }: WriteContext,
  type: ResourceType,
  key: Key,
  request: HttpRequest,
): Promise<HttpReply> {
  const dryRun = parseDryRun(request.query);
  if (typeof dryRun === "object") return dryRun;
  const read = await readResource(type, key, request.body);
  if (read.kind === "refused") return read.reply;
  const stored = await during(titles.find, store.get(key));
  const title = stored === undefined ? titles.create : titles.update;
  const spec = type.defaults(read.spec);
  const causes = await workOn(
    request.body,
    () => type.validate(spec),
    () => type.validation(spec),
  );
  if (causes.length > 0) return errors.invalid(title, causes);
  const further = (await checks.get(type.name)?.(spec)) ?? [];
  if (further.length > 0) return errors.invalid(title, further);
  const resource = { ...key, spec };
  const change = { key, spec, before: stored?.spec };
  const effects = await during(title, changeWarnings(change, store));
  const warnings = [...type.warnings(spec), ...effects];
  const warned = (reply: HttpReply): HttpReply => {
    // For users whose client does not show headers.
    for (const warning of effects) if (!dryRun) logger.warn(warning, { ...key });
    return withWarnings(reply, warnings);
  };
  try {
    if (stored !== undefined) {
      if (dryRun) return warned(ok);
      const same = await workOn(
        request.body,
        () => render(resource) === renderer.text(stored),
        () => isSame(renderer, resource, stored),
      );
      if (!same || (await refusesSomething(store, key))) await store.update(resource, stored.version);
      return warned(ok);
    }
    if (await meshIsMissing(store, type, key)) return errors.unknownMesh(key.mesh);
    if (dryRun) return warned(created);
    if (type.name === "Mesh") return warned(await createMesh(store, authorities, resource));
    await store.create(resource);
    if (await meshIsMissing(store, type, key)) {
      // The mesh and its resources were deleted meanwhile: this resource must not outlive them.
      await store.delete(key).catch(ignore("not-found"));
      return errors.unknownMesh(key.mesh);
    }
    return warned(created);
  } catch (error) {
    if (error instanceof StoreError && error.kind !== "unavailable") return errors.conflict(title);
    throw new FailedOperation(title, error);
  }
}

/** Whether a write would change nothing. */
function* isSame(renderer: Renderer, resource: Resource, stored: Stored): Steps<boolean> {
  const before = renderer.text(stored);
  yield;
  return render(resource) === before;
}

/**
 * Whether the proxy of a Dataplane rejects part of its configuration. Then the Dataplane is written even if unchanged:
 * through the change feed, the control plane that serves the proxy retries the rejected resources.
 */
async function refusesSomething(store: Store, { type, mesh, name }: Key): Promise<boolean> {
  if (type !== "Dataplane") return false;
  const insight = await readStored(store, dataplaneInsightType, { mesh, name });
  const { subscriptions = [] } = insight?.spec ?? {};
  return subscriptions.some(
    ({ disconnectTime, status }) => disconnectTime === undefined && (status?.refused ?? []).length > 0,
  );
}

/** Creates a mesh after its certificate authority, so that no proxy sees a mesh without one. */
async function createMesh(store: Store, authorities: MeshAuthorities, mesh: Resource): Promise<HttpReply> {
  const made = await authorities.ensure(mesh.name);
  try {
    await store.create(mesh);
    // Another, failed creation of this mesh may have deleted the authority meanwhile.
    await authorities.ensure(mesh.name);
    return created;
  } catch (error) {
    // Unless another client created the mesh, which then relies on the authority.
    if (made && (await store.get(mesh)) === undefined) await authorities.discard(mesh.name);
    throw error;
  }
}

/** Deletes a resource and its dependents: all resources of a Mesh, the insight of a Dataplane. */
export async function remove(store: Store, type: ResourceType, key: Key): Promise<HttpReply> {
  if (type.name === "Mesh") {
    // A missing Mesh is reported only after the clean-up, to delete the leftovers of an interrupted deletion.
    const existed = (await store.get(key)) !== undefined;
    await store.deleteMesh(key.mesh);
    return existed ? ok : errors.notFound(titles.delete);
  }
  try {
    await store.delete(key);
  } catch (error) {
    if (error instanceof StoreError && error.kind === "not-found") return errors.notFound(titles.delete);
    throw error;
  }
  if (type.name === "Dataplane") {
    for (const own of ["DataplaneInsight", "DataplaneHealth"]) {
      await store.delete({ ...key, type: own }).catch(ignore("not-found"));
    }
  }
  return ok;
}

async function meshIsMissing(store: Store, { scope }: ResourceType, { mesh }: Key): Promise<boolean> {
  return scope === "mesh" && (await store.get({ type: "Mesh", mesh, name: mesh })) === undefined;
}

function ignore(kind: StoreError["kind"]): (error: unknown) => void {
  return (error) => {
    if (!(error instanceof StoreError && error.kind === kind)) throw error;
  };
}

/** An invalid value is rejected: treating it as `false` would write what the user only wanted to check. */
function parseDryRun(query: string): boolean | HttpReply {
  if (!query.includes("dry-run")) return false;
  const value = new URLSearchParams(query).get("dry-run") ?? "false";
  if (value === "true" || value === "") return true;
  return value === "false" ? false : errors.badParameter(titles.process, "dry-run", value, "true or false");
}
