import type { Random } from "./random.js";

export type Document = Readonly<Record<string, unknown>>;

const names = ["web", "api", "redis", "db:54", "a.b.svc:8", "x_y~z"];
/** Some of these are rejected everywhere, some only where they would do harm. */
const oddNames = [
  "",
  "*",
  ".",
  "localhost:80",
  "nowhere",
  "ads_cluster",
  "a b",
  "é",
  "x".repeat(300),
  "{v=1}",
  "a/b",
  "\u0000",
  "%",
  "][",
];
const versions = ["1", "2.0", "v1,beta", "=", "{}"];

const durations = ["1s", "10s", "0.5s", "250ms", "1m30s", "24h"];
const oddDurations = ["0s", "-1s", "1ns", "999us", "1.5ms", "9223372035s", "9223372036s", "315576000001s"];

const operators = [
  ...["%START_TIME%", "%START_TIME(%s.%3f)%", "%DURATION%", "%BYTES_SENT%", "%BYTES_RECEIVED%", "%UPSTREAM_HOST%"],
  ...["%RESPONSE_FLAGS%", "%KUMA_SOURCE_ADDRESS%", "%KUMA_SOURCE_SERVICE%", "%KUMA_DESTINATION_SERVICE%", "%%"],
  ...[
    "%KUMA_SOURCE_ADDRESS_WITHOUT_PORT%",
    "%REQ(X?Y):5%",
    "%DYNAMIC_METADATA(a:b):9%",
    "%HOSTNAME%",
    "\n",
    'é {} " ;',
  ],
];
const oddOperators = [
  "%",
  "%NOPE%",
  "%KUMA_DOWNSTREAM_CLUSTER%",
  "%START_TIME",
  "%duration%",
  "%REQ()%",
  "%REQ(%",
  "%:5%",
];

/**
 * The resources of one mesh with everything that users write, some of it wrong. Each `number` has its own services and
 * addresses, so that one Envoy can load the configurations of many.
 */
export function randomMesh(random: Random, number: number): readonly Document[] {
  const mesh = "m";
  const oddly = (chance = 0.03) => random.chance(chance);
  const some = <T>(most: number, make: (index: number) => T): T[] =>
    Array.from({ length: random.below(most + 1) }, (_, index) => make(index));
  const name = (): string => (oddly() ? random.pick(oddNames) : `${random.pick(names)}-${number}`);
  const duration = (): string => (oddly(0.1) ? random.pick(oddDurations) : random.pick(durations));
  const count = (): number => (oddly() ? random.pick([0, 2 ** 32 - 1, 2 ** 32, 1.5]) : 1 + random.below(5));
  const version = () => random.pick(versions);

  const tags = () => ({
    service: name(),
    ...(random.chance(0.5) ? { version: version() } : {}),
    ...(oddly() ? { [random.pick(["constructor", "__proto__x", "é", "a b"])]: name() } : {}),
  });
  const match = (): Document => {
    if (random.chance(0.3)) return { service: "*" };
    if (oddly()) return {};
    return random.chance(0.3) ? tags() : { service: name() };
  };
  const matches = () => [{ match: match() }, ...some(2, () => ({ match: match() }))];
  const services = () => [{ match: { service: random.chance(0.3) ? "*" : name() } }];

  const address = `127.${1 + (number >> 8)}.${number & 255}.1`;
  const host = () => (oddly() ? random.pick(["localhost", "::1", "127.0.0.01", ""]) : address);
  let port = 1024;
  const nextPort = () => (oddly() ? random.pick([0, 65_536, port]) : ++port);

  function dataplane(index: number): Document {
    const inbound = Array.from({ length: 1 + random.below(3) }, () => ({
      interface: `${host()}:${nextPort()}:${oddly() ? 0 : 8080 + random.below(2)}`,
      tags: tags(),
    }));
    // The same listener again, for another service.
    const [first] = inbound;
    if (first !== undefined && random.chance(0.2)) inbound.push({ interface: first.interface, tags: tags() });
    const outbound = some(4, () => ({ interface: `${host()}:${nextPort()}`, service: name() }));
    const transparentProxying = random.chance(0.1) ? { transparentProxying: { redirectPort: 10_000 + number } } : {};
    return { type: "Dataplane", mesh, name: `d${index}`, networking: { inbound, outbound, ...transparentProxying } };
  }

  const format = () =>
    some(6, () => (oddly(0.01) ? random.pick(oddOperators) : random.pick(operators))).join(random.pick([" ", "", "-"]));
  const backendNames = ["one", "two", "three"];
  const backends = () =>
    backendNames.slice(0, random.below(4)).map((each) => ({
      name: oddly(0.02) ? "" : each,
      format: format(),
      ...(random.chance(0.5)
        ? { tcp: { address: oddly() ? random.pick(["x", "a:0", "[::1]:5", "é:1"]) : "127.0.0.1:5000" } }
        : { file: { path: oddly() ? random.pick(["", "/tmp/é", "a b"]) : "/dev/null" } }),
    }));
  const meshDocument = (): Document => ({
    type: "Mesh",
    name: mesh,
    mtls: { enabled: random.chance(0.5) },
    logging: { backends: backends(), ...(random.chance(0.5) ? { defaultBackend: random.pick(backendNames) } : {}) },
  });

  const policy = (type: string, index: number, spec: Document): Document => ({
    type,
    mesh,
    name: `p${index}`,
    ...spec,
  });
  const rule = (conf: Document = {}) => ({ sources: matches(), destinations: matches(), ...conf });
  const permission = (index: number) => {
    const many = { sources: Array.from({ length: 200 }, (_, each) => ({ match: { service: `client-${each}` } })) };
    const rules = [rule(), ...some(2, () => rule())];
    return policy("TrafficPermission", index, { rules: oddly() ? [{ ...rule(), ...many }] : rules });
  };
  const log = (index: number) => {
    const conf = () => (random.chance(0.7) ? { conf: { backend: random.pick([...backendNames, "four"]) } } : {});
    return policy("TrafficLog", index, { rules: [rule(conf()), ...some(2, () => rule(conf()))] });
  };
  const route = (index: number) =>
    policy("TrafficRoute", index, {
      sources: matches(),
      destinations: services(),
      conf: Array.from({ length: 1 + random.below(4) }, () => ({
        weight: oddly() ? 2 ** 32 - 1 : random.below(4),
        destination: tags(),
      })),
    });
  const health = (index: number) =>
    policy("HealthCheck", index, {
      sources: matches(),
      destinations: services(),
      conf: {
        ...(random.chance(0.7)
          ? {
              activeChecks: {
                interval: duration(),
                timeout: duration(),
                unhealthyThreshold: count(),
                healthyThreshold: count(),
              },
            }
          : {}),
        ...(random.chance(0.6) ? { passiveChecks: { unhealthyThreshold: count(), penaltyInterval: duration() } } : {}),
      },
    });

  /** No code: a validating Envoy executes what it is given. */
  const rawCluster = () => ({
    "@type": `type.googleapis.com/${random.pick(["envoy.api.v2.Cluster", "envoy.config.cluster.v3.Cluster"])}`,
    name: `raw-${number}-${random.below(3)}`,
    type: random.pick(["STATIC", "STRICT_DNS"]),
    connectTimeout: oddly(0.1) ? random.pick(["0s", "-1s", "1m", 5]) : "1s",
    ...(random.chance(0.3) ? { lbPolicy: random.pick(["ROUND_ROBIN", "LEAST_REQUEST", "RANDOM"]) } : {}),
    ...(random.chance(0.3) ? { circuit_breakers: { thresholds: [{ max_connections: count() }] } } : {}),
    ...(random.chance(0.3) ? { dnsLookupFamily: oddly() ? "V5" : "V4_ONLY" } : {}),
    ...(random.chance(0.2) ? { outlierDetection: { consecutive_5xx: count(), interval: random.pick(durations) } } : {}),
    ...(oddly() ? { nonsense: 1 } : {}),
  });
  const rawListener = () => ({
    "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
    name: `raw-${number}-${random.below(3)}`,
    address: { socketAddress: { address, portValue: ++port } },
    filterChains: [
      {
        filters: [
          {
            name: "envoy.filters.network.tcp_proxy",
            typedConfig: {
              "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
              statPrefix: oddly() ? "" : "raw",
              cluster: name(),
              ...(random.chance(0.3) ? { idleTimeout: random.pick(durations) } : {}),
            },
          },
        ],
      },
    ],
  });
  const template = (index: number) =>
    policy("ProxyTemplate", index, {
      ...(random.chance(0.7) ? { selectors: matches() } : {}),
      ...(random.chance(0.7) ? { imports: [oddly() ? "default" : "default-proxy"] } : {}),
      resources: some(3, (each) => ({
        name: `r${each}`,
        version: oddly() ? "" : "v1",
        resource: JSON.stringify(random.chance(0.6) ? rawCluster() : rawListener()),
      })),
    });

  return [
    meshDocument(),
    ...Array.from({ length: 1 + random.below(4) }, (_, index) => dataplane(index)),
    ...some(4, permission),
    ...some(4, log),
    ...some(3, route),
    ...some(3, health),
    ...some(2, template),
  ];
}
