import type { KubeClient } from "../../kubeapi/client.js";
import type { Collection } from "../../kubeapi/collection.js";
import { hasStatus } from "../../kubeapi/error.js";
import type { KubeObject } from "../../kubeapi/object.js";
import { messageOf, UserError } from "../../lib/errors.js";
import { isJsonObject } from "../../lib/json.js";

/**
 * A Kubernetes cluster as its user sees it. Each request is sent once, however many checks use the answer. All but
 * `close` throw UserError: without credentials, without an answer, and where the user lacks a permission.
 */
export interface Cluster {
  /** How the user chose it; undefined: by nothing but being there, such as a kubeconfig at the default place. */
  readonly chosen: "flag" | "environment" | undefined;
  /** The API server's address and version. */
  server(): Promise<{ readonly address: string; readonly version: string }>;
  /** Whether the API server serves custom resources of Kuma. */
  hasKuma(): Promise<boolean>;
  /** The CustomResourceDefinition of this name; undefined if there is none. */
  crd(name: string): Promise<KubeObject | undefined>;
  deployment(namespace: string, name: string): Promise<KubeObject | undefined>;
  /** All of them, in all namespaces. */
  pods(): Promise<readonly KubeObject[]>;
  services(): Promise<readonly KubeObject[]>;
  dataplanes(): Promise<readonly KubeObject[]>;
  /** The names of the namespaces whose new pods get sidecars. */
  injectedNamespaces(): Promise<ReadonlySet<string>>;
  close(): void;
}

/** The first request: an API server that is gone must not make the whole check wait. */
const firstAnswerMs = 10_000;

export const injectionLabel = "kuma.io/sidecar-injection=enabled";
const core = (plural: string): Collection => ({ group: "", version: "v1", plural });

/** Calls `ask` once for each argument and returns its promise to every caller. */
function onceEach<T>(ask: (key: string) => Promise<T>): (key: string) => Promise<T> {
  const asked = new Map<string, Promise<T>>();
  return (key) => {
    const known = asked.get(key) ?? ask(key);
    asked.set(key, known);
    return known;
  };
}

/**
 * The cluster of a kubeconfig, or the one that kubectl would use. Nothing is loaded or sent before it is needed.
 * @param kubeconfig its path, which wins over `KUBECONFIG` in `env`
 */
export function askCluster(kubeconfig: string | undefined, env: Readonly<Record<string, string | undefined>>): Cluster {
  let opened: KubeClient | undefined;

  const connection = onceEach(async () => {
    const { loadCredentials } = await import("../../kubeapi/credentials.js");
    const { createKubeClient } = await import("../../kubeapi/client.js");
    const credentials = await loadCredentials({ env, ...(kubeconfig === undefined ? {} : { kubeconfig }) });
    opened = createKubeClient(credentials);
    return { client: opened, address: credentials.server.origin };
  });

  async function ask<T>(request: (client: KubeClient) => Promise<T>): Promise<T> {
    const { client } = await connection("");
    try {
      return await request(client);
    } catch (error) {
      if (error instanceof UserError) throw error;
      // The client throws nothing but KubeErrors, and the reason of an abort.
      const id = hasStatus(error, 403) ? "kubernetes.forbidden" : "kubernetes.request";
      throw UserError.of(id, { reason: messageOf(error) }, { cause: error });
    }
  }

  const listed = onceEach((plural) => ask(async (client) => (await client.list(core(plural))).items));
  const crd = onceEach((name) =>
    ask((client) =>
      client.get({ group: "apiextensions.k8s.io", version: "v1", plural: "customresourcedefinitions" }, name),
    ),
  );
  const deployments = onceEach((place) => {
    const [namespace = "", name = ""] = place.split("/");
    return ask((client) => client.get({ group: "apps", version: "v1", plural: "deployments", namespace }, name));
  });
  const dataplanes = onceEach(() =>
    ask(async (client) => {
      const { customObjects } = await import("../../kubernetes/custom-objects.js");
      return (await client.list(customObjects("dataplanes"))).items;
    }),
  );
  const namespaces = onceEach((labelSelector) =>
    ask(async (client) => {
      const { items } = await client.list(core("namespaces"), { labelSelector });
      return new Set(items.map(({ metadata }) => metadata.name));
    }),
  );
  const version = onceEach(() =>
    ask(async (client) => {
      const answer = await client.request("GET", "/version", undefined, AbortSignal.timeout(firstAnswerMs));
      const { gitVersion } = isJsonObject(answer) ? answer : {};
      return typeof gitVersion === "string" ? gitVersion : "of an unknown version";
    }),
  );
  const groups = onceEach(() =>
    ask(async (client) => {
      const answer = await client.request("GET", "/apis", undefined, AbortSignal.timeout(firstAnswerMs));
      const found = isJsonObject(answer) && Array.isArray(answer.groups) ? answer.groups : [];
      return found.some((group) => isJsonObject(group) && group.name === "kuma.io");
    }),
  );

  return {
    chosen: kubeconfig !== undefined ? "flag" : (env.KUBECONFIG ?? "") !== "" ? "environment" : undefined,
    server: async () => ({ address: (await connection("")).address, version: await version("") }),
    hasKuma: () => groups(""),
    crd,
    deployment: (namespace, name) => deployments(`${namespace}/${name}`),
    pods: () => listed("pods"),
    services: () => listed("services"),
    dataplanes: () => dataplanes(""),
    injectedNamespaces: () => namespaces(injectionLabel),
    close: () => opened?.close(),
  };
}
