import type { KubeClient } from "../../kubeapi/client.js";
import { hasStatus } from "../../kubeapi/error.js";
import type { KubeObject } from "../../kubeapi/object.js";
import { parseJson } from "../../lib/json.js";
import { secretCollection } from "../../store/kubernetes/naming.js";
import { objectIn, textIn } from "../fields.js";

/**
 * The meshes that have existed, kept in a Secret of the system namespace. A mesh that was deleted while no control plane
 * ran leaves policies that look like those of a mesh that is still to be created, which must not be deleted: only this
 * record tells them apart.
 */
export interface KnownMeshes {
  /** @throws KubeError */
  read(): Promise<ReadonlySet<string>>;
  /** Adds or removes a mesh; does nothing if that is recorded already. @throws KubeError */
  record(mesh: string, exists: boolean): Promise<void>;
}

const secretName = "kuma-known-meshes";
const secretType = "system.kuma.io/known-meshes";
const dataKey = "meshes";
const mostRaces = 5;

function meshesIn(secret: KubeObject | undefined): Set<string> {
  const data = textIn(objectIn(secret?.data)[dataKey]);
  const meshes = parseJson(Buffer.from(data, "base64").toString("utf8"));
  return new Set(Array.isArray(meshes) ? meshes.filter((mesh) => typeof mesh === "string") : []);
}

export function createKnownMeshes(
  client: Pick<KubeClient, "get" | "create" | "replace">,
  namespace: string,
): KnownMeshes {
  const secrets = secretCollection(namespace);

  /** Returns false if another control plane was faster. */
  async function write(stored: KubeObject | undefined, meshes: ReadonlySet<string>): Promise<boolean> {
    const data = { [dataKey]: Buffer.from(JSON.stringify([...meshes].sort())).toString("base64") };
    const metadata = stored?.metadata ?? { namespace, name: secretName };
    const secret = { apiVersion: "v1", kind: "Secret", metadata, type: secretType, data };
    try {
      if (stored === undefined) await client.create(secrets, secret);
      else await client.replace(secrets, secret);
      return true;
    } catch (error) {
      if (hasStatus(error, 409)) return false;
      throw error;
    }
  }

  return {
    read: async () => meshesIn(await client.get(secrets, secretName)),
    async record(mesh, exists) {
      for (let races = 0; races < mostRaces; races++) {
        const stored = await client.get(secrets, secretName);
        const meshes = meshesIn(stored);
        if (meshes.has(mesh) === exists) return;
        if (exists) meshes.add(mesh);
        else meshes.delete(mesh);
        if (await write(stored, meshes)) return;
      }
      throw new Error(`the Secret "${secretName}" is written by others all the time`);
    },
  };
}
