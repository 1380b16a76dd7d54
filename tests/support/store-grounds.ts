import { randomUUID } from "node:crypto";
import { createLogger } from "../../src/lib/logger.js";
import { resolveSettings } from "../../src/lib/settings.js";
import { registry } from "../../src/resources/registry.js";
import type { OpenedStore, StoreKind } from "../../src/store/kind.js";
import type { storeKinds } from "../../src/store/kinds.js";
import { type KubernetesStage, startKubernetesStage } from "./kubernetes-store.js";
import { withoutNamespaces } from "./namespaced-store.js";
import { type PostgresServer, startPostgres } from "./postgres.js";

/** Where a test can open stores of a kind. */
export interface StoreGround {
  /** Its requirements, with the names that suites use. */
  readonly needs?: string;
  before?(): Promise<void>;
  after?(): Promise<void>;
  /** The environment with which kuma-cp would open an empty store, in addition to `KUMA_STORE_TYPE`. */
  environment(): Promise<Readonly<Record<string, string>>>;
  /** Makes an opened store take the names of the contract. */
  adapt?(opened: OpenedStore): OpenedStore;
}

let server: PostgresServer;

const postgres: StoreGround = {
  needs: "postgres",
  async before() {
    server = await startPostgres();
  },
  after: () => server.close(),
  async environment() {
    const { host, port, user, password, database } = await server.createDatabase();
    return {
      KUMA_STORE_POSTGRES_HOST: host,
      KUMA_STORE_POSTGRES_PORT: String(port),
      KUMA_STORE_POSTGRES_USER: user,
      KUMA_STORE_POSTGRES_PASSWORD: password,
      KUMA_STORE_POSTGRES_DB_NAME: database,
    };
  },
};

let stage: KubernetesStage;
let outsideKubeconfig: string | undefined;

const kubernetes: StoreGround = {
  needs: "kubernetes",
  async before() {
    // A namespace for each mesh of the contract.
    stage = await startKubernetesStage(["one", "two", "ghost"]);
    // The store looks for its credentials in the environment of the process.
    outsideKubeconfig = process.env.KUBECONFIG;
    process.env.KUBECONFIG = stage.kubeconfig;
  },
  async after() {
    if (outsideKubeconfig === undefined) delete process.env.KUBECONFIG;
    else process.env.KUBECONFIG = outsideKubeconfig;
    await stage.stop();
  },
  environment: async () => ({
    KUBECONFIG: stage.kubeconfig,
    KUMA_STORE_KUBERNETES_SYSTEM_NAMESPACE: await stage.emptied(),
  }),
  adapt: withoutNamespaces,
};

/** One for each existing kind: a missing one is a type error. */
export const storeGrounds: Readonly<Record<(typeof storeKinds)[number]["name"], StoreGround>> = {
  memory: { environment: async () => ({}) },
  postgres,
  kubernetes,
};

/** An empty store, opened from its settings as kuma-cp does. */
export async function openOn(kind: StoreKind, ground: StoreGround): Promise<OpenedStore> {
  const { values } = resolveSettings(kind.settings, { env: await ground.environment() });
  const opened = await kind.open(values, {
    registry,
    logger: createLogger({ name: "store", level: "off" }),
    instanceId: randomUUID(),
    pollingIntervalMs: 50,
    signal: new AbortController().signal,
  });
  return ground.adapt?.(opened) ?? opened;
}
