import type { KubeClient } from "../../kubeapi/client.js";
import { hasStatus } from "../../kubeapi/error.js";
import type { KubeObject, OwnerReference } from "../../kubeapi/object.js";
import type { Logger } from "../../lib/logger.js";
import type { Mesh } from "../../resources/mesh.js";
import { defaultMesh, meshLabel, secretCollection } from "../../store/kubernetes/naming.js";
import { apiVersion, customObjects } from "../custom-objects.js";
import { objectIn } from "../fields.js";
import { createKnownMeshes } from "./known-meshes.js";
import { createMeshCleanup } from "./mesh-cleanup.js";
import type { Controller } from "./pod-controller.js";
import { createWatches } from "./watches.js";
import { createWorkQueue } from "./work-queue.js";

interface Options {
  readonly client: KubeClient;
  readonly systemNamespace: string;
  /** The spec of the Mesh `default` when there is none. */
  readonly template: Mesh;
  /** Creates the certificate authority of a mesh unless it exists; returns whether it did. */
  readonly ensureAuthority: (mesh: string) => Promise<boolean>;
  /** The name of the Secret of a mesh's certificate authority. */
  readonly authorityName: (mesh: string) => string;
  /** The plurals of all types that belong to a mesh. */
  readonly plurals: readonly string[];
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** Failures in a row after which they are logged; the webhooks of a new installation are not reachable at first. */
const toldAfter = 12;

const hasBuiltinAuthority = ({ spec }: KubeObject): boolean => {
  const { builtin, provided } = objectIn(objectIn(objectIn(spec).mtls).ca);
  return (builtin ?? undefined) !== undefined || (provided ?? undefined) === undefined;
};

/**
 * Keeps the Mesh `default` and the certificate authorities of all meshes, and deletes what belonged to a mesh that is
 * gone. Does nothing while the system namespace is missing or on its way out.
 */
export function startMeshController(options: Options): Controller {
  const { client, systemNamespace, template, ensureAuthority, authorityName, plurals, logger, signal } = options;
  const secrets = secretCollection(systemNamespace);
  const collection = customObjects("meshes");
  const known = createKnownMeshes(client, systemNamespace);
  const cleanUp = createMeshCleanup({ client, systemNamespace, plurals });
  const meshes = new Map<string, KubeObject>();
  /** Those that this process saw vanish. */
  const gone = new Set<string>();
  /** Those that are new, until their authority is made: it may take several attempts. */
  const fresh = new Set<string>();
  let active = false;
  let recorded: ReadonlySet<string> | undefined;

  async function ensureDefault(): Promise<void> {
    const metadata = { name: defaultMesh };
    try {
      await client.create(collection, { apiVersion, kind: "Mesh", metadata, spec: template });
      logger.info("created the Mesh of this name, which every installation has", { mesh: defaultMesh });
    } catch (error) {
      if (!hasStatus(error, 409)) throw error;
    }
  }

  /** Makes the Mesh the owner of its authority's Secret, so that the two go together. */
  async function own({ metadata }: KubeObject): Promise<void> {
    const { name, uid = "" } = metadata;
    const secret = await client.get(secrets, authorityName(name));
    if (secret === undefined) throw new Error(`the Secret of the certificate authority of mesh "${name}" vanished`);
    const { ownerReferences = [], labels = {}, resourceVersion } = secret.metadata;
    if (ownerReferences.some((owner) => owner.uid === uid) && labels[meshLabel] === name) return;
    const owner: OwnerReference = {
      apiVersion,
      kind: "Mesh",
      name,
      uid,
      controller: true,
      blockOwnerDeletion: true,
    };
    await client.patch(secrets, authorityName(name), "json", [
      { op: "add", path: "/metadata/resourceVersion", value: resourceVersion },
      { op: "add", path: "/metadata/ownerReferences", value: [owner] },
      { op: "add", path: "/metadata/labels", value: { ...labels, [meshLabel]: name } },
    ]);
  }

  async function ensure(mesh: KubeObject): Promise<void> {
    const { name, deletionTimestamp } = mesh.metadata;
    if (deletionTimestamp !== undefined) return;
    recorded ??= await known.read();
    if (!recorded.has(name)) {
      fresh.add(name);
      await known.record(name, true);
      recorded = new Set([...recorded, name]);
    }
    if (!hasBuiltinAuthority(mesh)) return;
    const made = await ensureAuthority(name);
    await own(mesh);
    if (made && !fresh.has(name)) {
      logger.warn("the Secret of a mesh's certificate authority was deleted: the mesh has a new root certificate", {
        mesh: name,
      });
    }
    fresh.delete(name);
  }

  async function forget(name: string): Promise<void> {
    const deleted = await cleanUp(name);
    // Undefined: there is a new mesh of this name, whose event is still to come.
    if (deleted === undefined) return;
    logger.info("deleted what belonged to a mesh that is gone", { mesh: name, objects: deleted });
    gone.delete(name);
    await known.record(name, false);
    recorded = new Set([...(recorded ?? [])].filter((mesh) => mesh !== name));
  }

  const queue = createWorkQueue<string>({
    async work(name) {
      if (!active) return;
      const mesh = meshes.get(name);
      if (mesh !== undefined) {
        gone.delete(name);
        await ensure(mesh);
        return;
      }
      recorded ??= await known.read();
      if (gone.has(name) || recorded.has(name)) await forget(name);
      if (name === defaultMesh) await ensureDefault();
    },
    failed(name, error, failures) {
      if (failures === toldAfter) logger.error("a mesh can't be set up; it will be retried", { mesh: name, error });
      else logger.debug("a mesh could not be set up", { mesh: name, error });
    },
  });

  function setNamespace(object: KubeObject | undefined): void {
    const now = object !== undefined && object.metadata.deletionTimestamp === undefined;
    const began = now && !active;
    active = now;
    if (began) for (const name of [defaultMesh, ...meshes.keys()]) queue.add(name);
  }

  function setMesh(object: KubeObject): void {
    meshes.set(object.metadata.name, object);
    queue.add(object.metadata.name);
  }

  function deleteMesh(name: string): void {
    if (meshes.delete(name)) gone.add(name);
    queue.add(name);
  }

  /** Meshes that vanished while no control plane ran. */
  async function findVanished(): Promise<void> {
    recorded = await known.read();
    for (const name of recorded) if (!meshes.has(name)) queue.add(name);
  }

  queue.pause();
  const watches = createWatches({
    client,
    logger,
    signal,
    watched: [
      {
        collection,
        listed(items) {
          const names = new Set(items.map(({ metadata }) => metadata.name));
          for (const name of [...meshes.keys()]) if (!names.has(name)) deleteMesh(name);
          items.forEach(setMesh);
        },
        changed: (_type, object) => setMesh(object),
        deleted: ({ metadata }) => deleteMesh(metadata.name),
      },
      {
        collection: { group: "", version: "v1", plural: "namespaces" },
        fieldSelector: `metadata.name=${systemNamespace}`,
        listed: ([namespace]) => setNamespace(namespace),
        changed: (_type, object) => setNamespace(object),
        deleted: () => setNamespace(undefined),
      },
      {
        collection: secrets,
        labelSelector: meshLabel,
        listed() {
          for (const name of meshes.keys()) queue.add(name);
        },
        changed() {},
        deleted: ({ metadata }) => queue.add(metadata.labels?.[meshLabel] ?? ""),
      },
    ],
    current(isCurrent) {
      if (!isCurrent) {
        queue.pause();
        return;
      }
      queue.resume();
      queue.add(defaultMesh);
      findVanished().catch((error: unknown) => logger.debug("the record of meshes can't be read yet", { error }));
    },
  });

  return {
    async close() {
      await watches.close();
      await queue.close();
    },
  };
}
