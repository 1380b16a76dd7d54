import { randomUUID } from "node:crypto";
import { createLogger } from "../../src/lib/logger.js";
import { registry } from "../../src/resources/registry.js";
import type { OpenedStore } from "../../src/store/kind.js";
import { type OpenOptions, openPostgresStore } from "../../src/store/postgres/open.js";
import type { Change, Key, Store, Stored } from "../../src/store/store.js";
import type { Address } from "./postgres.js";

export interface TestStore extends OpenedStore {
  readonly id: string;
  /** What it has logged so far. */
  readonly log: () => string;
}

const opened: TestStore[] = [];

const keyText = ({ type, mesh, name }: Key) => `${type} ${mesh}/${name}`;

interface OpenTestOptions extends Partial<Omit<OpenOptions, "postgres">> {
  readonly postgres?: Partial<OpenOptions["postgres"]>;
  readonly onLog?: (line: string) => void;
}

/** A store as kuma-cp opens it, with short timeouts; `closeStores` closes it. */
export async function openStore(
  address: Address,
  { postgres = {}, onLog, ...options }: OpenTestOptions = {},
): Promise<TestStore> {
  const id = randomUUID();
  const lines: string[] = [];
  const write = (line: string) => {
    lines.push(line);
    onLog?.(line);
  };
  const store = await openPostgresStore({
    postgres: {
      ...address,
      connectTimeoutMs: 2_000,
      statementTimeoutMs: 2_000,
      maxConnections: 5,
      tls: { mode: "disable" },
      ...postgres,
    },
    registry,
    logger: createLogger({ name: "store", level: "debug", write }),
    instanceId: id,
    migrate: true,
    pollingIntervalMs: 50,
    ...options,
  });
  const result = { ...store, id, log: () => lines.join("") };
  opened.push(result);
  return result;
}

export async function closeStores(): Promise<void> {
  await Promise.all(opened.splice(0).map(({ store }) => store.close()));
}

/** The state that a reader of the feed has, by key: the version and the spec as text. */
export interface Follower {
  readonly known: ReadonlyMap<string, string>;
  readonly listings: () => number;
  readonly changes: readonly Change[];
  stop(): Promise<void>;
}

export function follow(store: Store): Follower {
  const known = new Map<string, string>();
  const changes: Change[] = [];
  let listings = 0;
  const controller = new AbortController();
  const put = ({ spec, version, ...key }: Stored) => known.set(keyText(key), `${version} ${JSON.stringify(spec)}`);
  async function run(): Promise<void> {
    for await (const change of store.changes(controller.signal)) {
      changes.push(change);
      if (change.kind === "listing") {
        listings += 1;
        known.clear();
        change.resources.forEach(put);
      } else if (change.kind === "put") put(change.resource);
      else known.delete(keyText(change.key));
    }
  }
  const running = run();
  return {
    known,
    changes,
    listings: () => listings,
    async stop() {
      controller.abort();
      await running;
    },
  };
}

/** A Dataplane whose service distinguishes one write from another. */
export function dataplane(name: string, service = "web", mesh = "default") {
  const inbound = [{ interface: "127.0.0.1:8000:80", tags: { service } }];
  return { type: "Dataplane", mesh, name, spec: { networking: { inbound } } };
}
