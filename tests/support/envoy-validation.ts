import { execFile } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import type { ConfigJson, Json } from "./envoy-json.js";
import { bin } from "./executable.js";

const extensions = "type.googleapis.com/envoy.extensions";

/** A listener that only uses the routes, because a static configuration has no section for them. */
const routing = (routes: Json): Json => ({
  name: `routes ${String(routes.name)}`,
  address: { pipe: { path: `@${String(routes.name)}` } },
  filterChains: [
    {
      filters: [
        {
          name: "http",
          typedConfig: {
            "@type": `${extensions}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
            statPrefix: "routes",
            routeConfig: routes,
            httpFilters: [{ name: "router", typedConfig: { "@type": `${extensions}.filters.http.router.v3.Router` } }],
          },
        },
      ],
    },
  ],
});

/** A cluster that contains the assignment, for the same reason. */
const holding = (assignment: Json): Json => ({
  name: `assignment ${String(assignment.clusterName)}`,
  type: "STATIC",
  connectTimeout: "1s",
  loadAssignment: assignment,
});

/** A proxy's resources as parts of a static configuration, grouped by part. The name of a listener has no meaning. */
function parts(
  owner: string,
  config: ConfigJson,
): readonly (readonly [part: "clusters" | "listeners" | "secrets", Json])[] {
  const { clusters = [], assignments = [], listeners = [], routes = [], secrets = [] } = config;
  return [
    ...clusters.map((cluster) => ["clusters", cluster] as const),
    ...assignments.map((assignment) => ["clusters", holding(assignment)] as const),
    ...listeners.map((listener) => ["listeners", { ...listener, name: `${listener.name} of ${owner}` }] as const),
    ...routes.map((one) => ["listeners", routing(one)] as const),
    ...secrets.map((secret) => ["secrets", secret] as const),
  ];
}

/** What two different parts of one configuration must not share: name and listening address. */
function claims(part: string, { name, address }: Json): string[] {
  return [`${part} ${String(name)}`, ...(address === undefined ? [] : [`address ${JSON.stringify(address)}`])];
}

/** Combines the configurations of several proxies. */
interface Batch {
  readonly configs: Map<string, ConfigJson>;
  readonly claimed: Map<string, string>;
  readonly clusters: Map<string, Json>;
  readonly listeners: Map<string, Json>;
  readonly secrets: Map<string, Json>;
}

const emptyBatch = (): Batch => ({
  configs: new Map(),
  claimed: new Map(),
  clusters: new Map(),
  listeners: new Map(),
  secrets: new Map(),
});

/** Adds a proxy's configuration. Returns false, without changes, when a different part has the same name or address. */
function join(batch: Batch, name: string, config: ConfigJson): boolean {
  const wanted = new Map<string, string>();
  for (const [part, resource] of parts(name, config)) {
    const text = JSON.stringify(resource);
    for (const claim of claims(part, resource)) {
      if ((batch.claimed.get(claim) ?? text) !== text) return false;
      wanted.set(claim, text);
    }
  }
  for (const [claim, text] of wanted) batch.claimed.set(claim, text);
  for (const [part, resource] of parts(name, config)) batch[part].set(String(resource.name), resource);
  batch.configs.set(name, config);
  return true;
}

function bootstrap({ clusters, listeners, secrets }: Batch): Json {
  return {
    node: { id: "m.p", cluster: "c" },
    dynamicResources: {
      adsConfig: {
        apiType: "DELTA_GRPC",
        transportApiVersion: "V3",
        grpcServices: [{ envoyGrpc: { clusterName: "control plane" } }],
      },
    },
    staticResources: {
      clusters: [{ name: "control plane", type: "STATIC", connectTimeout: "1s" }, ...clusters.values()],
      listeners: [...listeners.values()],
      secrets: [...secrets.values()],
    },
  };
}

export interface Validator {
  /**
   * Validates the configurations with a real Envoy, as many at once as fit together. Resolves with Envoy's output for
   * each configuration that it rejects or warns about, by its given name.
   */
  objections(configs: ReadonlyMap<string, ConfigJson>): Promise<ReadonlyMap<string, string>>;
  /** How often Envoy was started. */
  readonly runs: number;
  close(): void;
}

/** Most configurations to validate at once. */
const most = 60;

export function openValidator(): Validator {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-validation-"));
  // Files that TLS contexts refer to by a path relative to the proxy's directory.
  fs.writeFileSync(path.join(directory, "token"), "a.token.of-three-parts");
  let runs = 0;

  /** Envoy's output; empty when it accepts the configuration without warnings. */
  function words(configuration: Json): Promise<string> {
    runs += 1;
    const file = path.join(directory, "bootstrap.json");
    fs.writeFileSync(file, JSON.stringify(configuration));
    const args = ["--mode", "validate", "-c", file, "--disable-hot-restart", "--concurrency", "1", "-l", "warning"];
    return new Promise((resolve) => {
      execFile(path.join(bin, "envoy"), args, { cwd: directory, timeout: 120_000 }, (error, stdout, stderr) => {
        const said = `${stdout}${stderr}`.replace(/^configuration '.*' OK$/m, "").trim();
        resolve(error === null ? said : `${said}\n${error.message.split("\n")[0]}`);
      });
    });
  }

  /** Splits a rejected set in halves until each error belongs to a single configuration. */
  async function search(configs: readonly (readonly [string, ConfigJson])[], found: Map<string, string>) {
    const batch = emptyBatch();
    for (const [name, config] of configs) join(batch, name, config);
    const said = await words(bootstrap(batch));
    if (said === "") return;
    const before = found.size;
    if (configs.length > 1) {
      const middle = Math.ceil(configs.length / 2);
      await search(configs.slice(0, middle), found);
      await search(configs.slice(middle), found);
    }
    // The error may come from one configuration, or only from the combination.
    if (found.size === before) found.set([...batch.configs.keys()].join(" with "), said);
  }

  return {
    async objections(configs) {
      const batches: Batch[] = [];
      for (const [name, config] of configs) {
        const home = batches.find((batch) => batch.configs.size < most && join(batch, name, config));
        if (home !== undefined) continue;
        const batch = emptyBatch();
        join(batch, name, config);
        batches.push(batch);
      }
      const found = new Map<string, string>();
      for (const batch of batches) await search([...batch.configs], found);
      return found;
    },
    get runs() {
      return runs;
    },
    close: () => fs.rmSync(directory, { recursive: true, force: true }),
  };
}
