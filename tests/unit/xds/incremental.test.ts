import * as assert from "uvu/assert";
import { generate } from "../../../src/envoy/generate.js";
import { createPlacement } from "../../../src/envoy/placement.js";
import { kinds, type ProxyConfig, typeUrls } from "../../../src/envoy/resource.js";
import { createLogger } from "../../../src/lib/logger.js";
import type { Change, Stored } from "../../../src/store/store.js";
import { versionOf } from "../../../src/store/version.js";
import { apply, emptyView, type TouchedMeshes } from "../../../src/view/apply.js";
import type { View } from "../../../src/view/mesh-view.js";
import { type Client, createProxies } from "../../../src/xds/configuration/proxies.js";
import { dataplane, meshRecord, permission, stored } from "../../support/mesh-view.js";
import { runSeed, seeded } from "../../support/random.js";
import { suite } from "../../support/suite.js";

const placement = createPlacement({ tokenPath: "token" });

const test = suite("incremental configurations");

const options = { connectTimeoutMs: 5000, secretServer: { target: "cp:5677", root: "root" } };
const names = ["a", "b", "c", "d"];

/** A mesh that changes at random: services and proxies have the same names. */
function createChance(seed: number) {
  const random = seeded(seed);
  let version = 1;
  const match = (service: string) => [{ match: { service } }];
  const some = () => names.filter(() => random.chance(0.4));
  const target = () => ({ service: random.pick(names), ...(random.chance(0.3) ? { version: "1" } : {}) });

  function proxy(): Stored {
    const name = random.pick(names);
    const services = random.chance(0.9) ? [name, ...some()] : [];
    return dataplane(name, {
      inbound: services.map((service, index) => ({
        interface: `127.0.0.1:${8000 + (random.chance(0.8) ? index : 0)}:${80 + random.below(2)}`,
        tags: { service, version: String(random.below(2)) },
      })),
      outbound: some().map((service, index) => ({ interface: `:${10_000 + index}`, service })),
      ...(random.chance(0.2) ? { transparentProxying: { redirectPort: 15_001 } } : {}),
    });
  }

  /** With an assignment or a listener that may have the name of a generated one. */
  function template(): Stored {
    const address = { socketAddress: { address: "127.0.0.1", portValue: 8000 } };
    const resource = random.chance(0.5)
      ? { "@type": typeUrls.eds, clusterName: random.pick(names) }
      : { "@type": typeUrls.lds, name: "inbound:127.0.0.1:8000", address, filterChains: [{}] };
    return stored("ProxyTemplate", random.pick(["t", "u"]), {
      selectors: random.chance(0.3) ? [] : match(random.pick(names)),
      conf: {
        imports: random.chance(0.8) ? ["default-proxy"] : [],
        resources: [{ name: "raw", version: "1", resource: JSON.stringify(resource) }],
      },
    });
  }

  function policy(): Stored {
    const [source, destination] = [random.pick(["*", ...names]), random.pick(["*", ...names])];
    const about = { sources: match(source), destinations: match(destination) };
    const name = random.pick(["p", "q"]);
    switch (random.below(4)) {
      case 0:
        return permission(name, about);
      case 1:
        return stored("TrafficRoute", name, {
          ...about,
          conf: [target(), target()].map((to) => ({ weight: random.below(9), destination: to })),
        });
      case 2: {
        const activeChecks = { interval: "1s", timeout: "1s", unhealthyThreshold: 1, healthyThreshold: 1 };
        return stored("HealthCheck", name, { ...about, conf: { activeChecks } });
      }
      default:
        return stored("TrafficLog", name, { ...about, conf: { backend: "file" } });
    }
  }

  function mesh(): Stored {
    const backends = [{ name: "file", file: { path: `/tmp/${random.below(2)}` } }];
    return stored("Mesh", "m", { mtls: { enabled: random.chance(0.7) }, logging: { backends } });
  }

  return {
    random,
    next(): Change {
      version += 1;
      const drawn = random.next();
      const made = drawn < 0.45 ? proxy() : drawn < 0.85 ? policy() : drawn < 0.95 ? template() : mesh();
      const { type, name } = made;
      if (type !== "Mesh" && random.chance(0.2))
        return { kind: "delete", sequence: version, key: { type, mesh: "m", name } };
      return { kind: "put", sequence: version, resource: { ...made, version: versionOf(version) } };
    },
  };
}

function open() {
  let view: View = apply(emptyView, { kind: "listing", sequence: 1, resources: [meshRecord()] }, new Map());
  const configs = new Map<string, ProxyConfig>();
  const proxies = createProxies({
    view: () => view,
    generate: (...given) => generate(given[0], given[1], options, given[2], given[3]),
    logger: createLogger({ name: "test", level: "off" }),
  });
  for (const name of names) {
    const client: Client = {
      id: { mesh: "m", name },
      since: new Date(),
      placement,
      get configured() {
        return configs.has(name);
      },
      resumed: false,
      retry() {},
      compareListeners: () => ({ missing: [], fresh: [], pending: false }),
      configure: (config) => void configs.set(name, config),
      delivery: () => undefined,
      deliveries: () => [],
    };
    proxies.join(client);
  }
  return {
    configs,
    async change(changes: readonly Change[]) {
      const touched: TouchedMeshes = new Map();
      for (const change of changes) view = apply(view, change, touched);
      for (const [mesh, concerned] of touched) proxies.update(mesh, concerned);
      // On a busy machine each proxy may need a slice of its own.
      for (let turn = 0; turn <= names.length; turn++) await new Promise((resolve) => setImmediate(resolve));
    },
    /** The configuration that each existing proxy would get if it connected now. */
    fromNothing() {
      const mesh = view.get("m");
      return names.flatMap((name) => {
        const proxy = mesh?.proxies.get(name);
        if (mesh === undefined || proxy === undefined) return [];
        return [[name, generate(proxy, mesh, options, placement).config] as const];
      });
    },
  };
}

const shown = (config: ProxyConfig | undefined) =>
  kinds.map((kind) => [...(config?.[kind].values() ?? [])].map(({ name, version }) => `${kind} ${name} ${version}`));

test("after any change each proxy has exactly the configuration of a full generation, in the same order", async () => {
  for (let run = 0; run < 150; run++) {
    const { random, next } = createChance(runSeed + run);
    const stage = open();
    for (let step = 0; step < 30; step++) {
      await stage.change(Array.from({ length: 1 + random.below(3) }, next));
      for (const [name, config] of stage.fromNothing())
        assert.equal(shown(stage.configs.get(name)), shown(config), `TEST_SEED=${runSeed}, run ${run}, proxy ${name}`);
    }
  }
});

test.run();
