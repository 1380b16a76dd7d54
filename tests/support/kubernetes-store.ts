import { crds } from "../../src/kubernetes/crds.js";
import { registry } from "../../src/resources/registry.js";
import { objectKinds } from "../../src/store/kubernetes/object-kind.js";
import { type ApiServer, startApiServer } from "../kubernetes/api-server.js";
import { eventually } from "./eventually.js";

/** An API server with the CRDs, in which tests keep resources. */
export interface KubernetesStage extends ApiServer {
  /** Deletes every resource, and makes a system namespace without any Secret or Lease. @returns its name */
  emptied(): Promise<string>;
}

/** Makes namespaces that may be there already. */
export async function makeNamespaces({ request }: Pick<ApiServer, "request">, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const { status } = await request("POST", "/api/v1/namespaces", { metadata: { name } });
    if (status !== 201 && status !== 409) throw new Error(`the namespace ${name} was not made: ${status}`);
  }
}

const customKinds = [...objectKinds(registry, "").values()].filter(({ collection }) => collection.group !== "");

/** Applies the CRDs and waits until all are served. */
export async function applyCrds(server: Pick<ApiServer, "apply" | "request">): Promise<void> {
  await server.apply(crds(registry));
  await eventually(
    "the CRDs are served",
    async () => {
      const { body } = await server.request("GET", "/apis/kuma.io/v1alpha1");
      const { resources = [] } = body as { resources?: { name: string }[] };
      return customKinds.every(({ collection }) => resources.some(({ name }) => name === collection.plural));
    },
    30_000,
  );
}

/** Starts an API server with the CRDs, and with these namespaces besides `default`. */
export async function startKubernetesStage(namespaces: readonly string[] = []): Promise<KubernetesStage> {
  const server = await startApiServer({ controllers: "none" });
  let systems = 0;
  try {
    await applyCrds(server);
    await makeNamespaces(server, namespaces);
  } catch (error) {
    await server.stop();
    throw error;
  }
  return {
    ...server,
    async emptied() {
      for (const { collection, type } of customKinds) {
        const everywhere = `/apis/kuma.io/v1alpha1/${collection.plural}`;
        if (type.scope === "global") await server.request("DELETE", everywhere);
        else {
          for (const namespace of ["default", ...namespaces]) {
            await server.request("DELETE", `/apis/kuma.io/v1alpha1/namespaces/${namespace}/${collection.plural}`);
          }
        }
      }
      const system = `system-${++systems}`;
      await makeNamespaces(server, [system]);
      return system;
    },
  };
}
