import * as assert from "uvu/assert";
import { bootstrapDocument } from "../../../src/cp/bootstrap/document.js";
import { localClusterName, nowhereName, passThroughName } from "../../../src/envoy/clusters.js";
import { suite } from "../../support/suite.js";
import { read } from "./reading.js";

const test = suite("validation");

type Rows = readonly [name: string, spec: Record<string, unknown>, causes: readonly (readonly [string, string])[]][];

function table(type: string, rows: Rows): void {
  for (const [name, spec, causes] of rows) {
    test(`${type}: ${name}`, () => {
      const result = read({ type, mesh: "default", name: "x", ...spec });
      assert.equal(result.unknown, []);
      assert.equal(
        result.causes.map(({ field, message }) => [field, message]),
        causes,
      );
    });
  }
}

const backend = (fields: Record<string, unknown>) => ({ logging: { backends: [fields] } });
const file = { path: "/tmp/log" };
const exactlyOne = 'must have exactly one of "file" and "tcp"';

table("Mesh", [
  ["empty", {}, []],
  ["what has no effect", { tracing: { zipkin: { address: "x" } }, metrics: { prometheus: {} } }, []],
  ["access logs of an older version", { logging: { accessLogs: { enabled: true, filePath: "/tmp/x" } } }, []],
  ["mTLS without a CA", { mtls: { enabled: true } }, []],
  [
    "a provided CA",
    { mtls: { ca: { provided: {} } } },
    [["mtls.ca.provided", 'no signing certificate uploaded yet for this mesh; this version only has the "builtin" CA']],
  ],
  [
    "two CAs",
    { mtls: { ca: { provided: {}, builtin: {} } } },
    [
      ["mtls.ca", 'must have exactly one of "builtin" and "provided"'],
      ["mtls.ca.provided", 'no signing certificate uploaded yet for this mesh; this version only has the "builtin" CA'],
    ],
  ],
  ["a backend without a name", backend({ file }), [["logging.backends[0].name", "cannot be empty"]]],
  ["a backend without a place", backend({ name: "b" }), [["logging.backends[0]", exactlyOne]]],
  [
    "a backend with two places",
    backend({ name: "b", file, tcp: { address: "h:1" } }),
    [["logging.backends[0]", exactlyOne]],
  ],
  ["a backend whose place is null", backend({ name: "b", file: null }), [["logging.backends[0]", exactlyOne]]],
  ["a file without a path", backend({ name: "b", file: {} }), [["logging.backends[0].file.path", "cannot be empty"]]],
  ["no address", backend({ name: "b", tcp: {} }), [["logging.backends[0].tcp.address", "cannot be empty"]]],
  ...[
    "noport",
    ":80",
    "host:",
    "host:port",
    "host:0",
    "host:65536",
    "a:b:80",
    "::1:80",
    "tcp://host:80",
    "h ost:80",
    "a;b:80",
    "%DURATION%:80",
  ].map((address): Rows[number] => [
    `the address "${address}"`,
    backend({ name: "b", tcp: { address } }),
    [["logging.backends[0].tcp.address", "has to be in format HOST:PORT"]],
  ]),
  ...["host:80", "logstash.internal:9000", "10.0.0.1:1", "[::1]:65535"].map((address): Rows[number] => [
    `the address ${address}`,
    backend({ name: "b", tcp: { address } }),
    [],
  ]),
  [
    "a bad format",
    backend({ name: "b", file, format: "%NOPE(%" }),
    [["logging.backends[0].format", 'malformed operator: "%NOPE(" has no closing ")" (at character 1)']],
  ],
  [
    "everything wrong with a backend",
    backend({ format: "%", file: {}, tcp: {} }),
    [
      ["logging.backends[0].name", "cannot be empty"],
      ["logging.backends[0]", exactlyOne],
      [
        "logging.backends[0].format",
        'malformed operator: "%" has to be followed by a name in upper case, or by another "%" for a percent sign (at character 1)',
      ],
      ["logging.backends[0].file.path", "cannot be empty"],
      ["logging.backends[0].tcp.address", "cannot be empty"],
    ],
  ],
  [
    "names that are used twice and an unknown default",
    {
      logging: {
        defaultBackend: "zzz",
        backends: [
          { name: "b", file },
          { name: "b", tcp: { address: "noport" } },
        ],
      },
    },
    [
      ["logging.backends[1].tcp.address", "has to be in format HOST:PORT"],
      ["logging.backends[1].name", '"b" name is already used for another backend'],
      ["logging.defaultBackend", "has to be set to one of the logging backends in the mesh"],
    ],
  ],
  ["a known default", { logging: { defaultBackend: "b", backends: [{ name: "b", file }] } }, []],
  [
    "a default without backends",
    { logging: { default_backend: "b" } },
    [["logging.defaultBackend", "has to be set to one of the logging backends in the mesh"]],
  ],
]);

const tags = { service: "backend" };
const inbound = { interface: "127.0.0.1:80:8080", tags };
const networking = (fields: Record<string, unknown>) => ({ networking: { inbound: [inbound], ...fields } });
const noInbound = ["networking.inbound", "has to contain at least one inbound interface"] as const;
const inboundFormat =
  "invalid format; expected DATAPLANE_IP:DATAPLANE_PORT:WORKLOAD_PORT, such as 192.168.0.1:9000:6379";
const outboundFormat = "invalid format; expected IP_ADDRESS:PORT with optional IP, such as 127.0.0.1:9000 or :9000";
const withTag = (key: string, value: string) =>
  networking({ inbound: [{ interface: "127.0.0.1:80:8080", tags: { ...tags, [key]: value } }] });
const unspeakable = "cannot stand in a SPIFFE URI; letters, digits and -._~!$&'()*+,;=:@ are valid";
const reserved = "is a name that sidecars use for themselves";
const blanks = "cannot contain blanks or characters other than printable ASCII";

/** Names of the clusters in every Envoy's bootstrap. */
function bootstrapClusters(): readonly string[] {
  const admin = { address: "127.0.0.1", port: 0, accessLogPath: "/dev/null" };
  const xds = { host: "cp", port: 5678, connectTimeoutMs: 1000 };
  const { staticResources } = bootstrapDocument({ mesh: "m", name: "d", service: "s", admin, xds });
  return (staticResources as { clusters: { name: string }[] }).clusters.map(({ name }) => name);
}
const sidecarsOwn = [localClusterName(8080), localClusterName(1), nowhereName, passThroughName, ...bootstrapClusters()];

/** A Dataplane with an inbound and an outbound of the service. */
const withService = (service: string) =>
  networking({
    inbound: [{ interface: "127.0.0.1:80:8080", tags: { service } }],
    outbound: [{ interface: ":1", service }],
  });

table("Dataplane", [
  ["nothing at all", {}, [noInbound]],
  ["empty networking", { networking: {} }, [noInbound]],
  ["an empty list", { networking: { inbound: [] } }, [noInbound]],
  ["one inbound", networking({}), []],
  [
    "an interface with two parts and no service",
    { networking: { inbound: [{ interface: "1.2.3.4:80", tags: { version: "1" } }] } },
    [
      ["networking.inbound[0].interface", inboundFormat],
      ['networking.inbound[0].tags["service"]', "tag has to exist"],
    ],
  ],
  [
    "an empty inbound",
    { networking: { inbound: [{}] } },
    [
      ["networking.inbound[0].interface", inboundFormat],
      ['networking.inbound[0].tags["service"]', "tag has to exist"],
    ],
  ],
  [
    "tags in sorted order",
    networking({ inbound: [{ interface: "127.0.0.1:80:8080", tags: { z: "", a: " ", service: "*" } }] }),
    [
      ['networking.inbound[0].tags["a"]', `tag value ${blanks}`],
      ['networking.inbound[0].tags["service"]', 'tag value cannot be "*"'],
      ['networking.inbound[0].tags["z"]', "tag value cannot be empty"],
    ],
  ],
  ["an empty tag value", withTag("k", ""), [['networking.inbound[0].tags["k"]', "tag value cannot be empty"]]],
  ["a blank", withTag("k", "a b"), [['networking.inbound[0].tags["k"]', `tag value ${blanks}`]]],
  ["a line break", withTag("k", "a\n"), [['networking.inbound[0].tags["k"]', `tag value ${blanks}`]]],
  ["a letter beyond ASCII", withTag("k", "é"), [['networking.inbound[0].tags["k"]', `tag value ${blanks}`]]],
  ["DEL", withTag("k", "\x7f"), [['networking.inbound[0].tags["k"]', `tag value ${blanks}`]]],
  ["an empty tag key", withTag("", "v"), [['networking.inbound[0].tags[""]', "tag key cannot be empty"]]],
  ["a blank in a tag key", withTag("a b", "v"), [['networking.inbound[0].tags["a b"]', `tag key ${blanks}`]]],
  [
    "what steers a terminal in a tag key, which the error only shows",
    withTag("k\u001b[2J\u009b\u202e", "v"),
    [['networking.inbound[0].tags["k\\u001b[2J\\u009b\\u202e"]', `tag key ${blanks}`]],
  ],
  [
    "a wildcard as a tag key",
    withTag("*", "v"),
    [['networking.inbound[0].tags["*"]', 'tag key cannot be "*", which only a value in a selector can be']],
  ],
  [
    "a tag key longer than a name",
    withTag("k".repeat(256), "v"),
    [[`networking.inbound[0].tags["${"k".repeat(100)}…"]`, "tag key cannot be longer than 255 characters"]],
  ],
  ["a wildcard", withTag("k", "*"), [['networking.inbound[0].tags["k"]', 'tag value cannot be "*"']]],
  ["255 characters", withTag("k", "x".repeat(255)), []],
  [
    "256 characters",
    withTag("k", "x".repeat(256)),
    [['networking.inbound[0].tags["k"]', "tag value cannot be longer than 255 characters"]],
  ],
  ["a service with a port", withTag("service", "web.default.svc:80"), []],
  ["a service with every character a SPIFFE URI may have", withTag("service", "aZ0-._~!$&'()*+,;=:@"), []],
  ...["a/b", "a%2fb", "a?b", "a#b", "a|b", '"a"', "a\\b", "[a]"].map((service): Rows[number] => [
    `a service that can't stand in a SPIFFE URI: ${service}`,
    withService(service),
    [
      ['networking.inbound[0].tags["service"]', `tag value ${unspeakable}`],
      ["networking.outbound[0].service", unspeakable],
    ],
  ]),
  ...sidecarsOwn.map((service): Rows[number] => [
    `a service that would be taken for a sidecar's own cluster: ${service}`,
    withService(service),
    [
      ['networking.inbound[0].tags["service"]', `tag value ${reserved}`],
      ["networking.outbound[0].service", reserved],
    ],
  ]),
  ...["localhost", "localhost:", "localhost:http", "my.localhost:80", "Nowhere", "nowhere:80", "pass_through_2"].map(
    (service): Rows[number] => [`a service with a name of its own: ${service}`, withService(service), []],
  ),
  ["a sidecar's own name in a tag that isn't the service", withTag("k", nowhereName), []],
  ["a tag that isn't the service", withTag("k", "a/b"), []],
  [
    "a service that would be a step in a path",
    withTag("service", ".."),
    [['networking.inbound[0].tags["service"]', 'tag value cannot be "." or "..", which a SPIFFE URI does not allow']],
  ],
  ["a tag called constructor", withTag("constructor", "x"), []],
  [
    "a bad tag called __proto__",
    { networking: { inbound: [{ ...inbound, tags: JSON.parse('{"service":"a","__proto__":""}') }] } },
    [['networking.inbound[0].tags["__proto__"]', "tag value cannot be empty"]],
  ],
  [
    "a service that only the prototype would have",
    { networking: { inbound: [{ ...inbound, tags: JSON.parse('{"__proto__":"x"}') }] } },
    [['networking.inbound[0].tags["service"]', "tag has to exist"]],
  ],
  [
    "an outbound",
    networking({ outbound: [{ interface: "x", service: "" }] }),
    [
      ["networking.outbound[0].interface", outboundFormat],
      ["networking.outbound[0].service", "cannot be empty"],
    ],
  ],
  [
    "an outbound to a wildcard",
    networking({ outbound: [{ interface: ":1", service: "*" }] }),
    [["networking.outbound[0].service", 'cannot be "*"']],
  ],
  [
    "an outbound to a service nobody has, with its old port",
    networking({ outbound: [{ interface: ":1", service: "x", servicePort: 5 }] }),
    [],
  ],
  ["a redirect port", networking({ transparentProxying: { redirectPort: 15001 } }), []],
  [
    "a redirect port that is none",
    networking({ transparent_proxying: { redirect_port: 65536 } }),
    [["networking.transparentProxying.redirectPort", "has to be a port, from 1 to 65535"]],
  ],
  [
    "two services on one interface",
    networking({
      inbound: [inbound, { ...inbound, tags: { service: "other" } }, { ...inbound, tags: { service: "third" } }],
    }),
    [],
  ],
  [
    "one service twice on one interface",
    networking({ inbound: [inbound, { ...inbound, tags: { service: "other" } }, inbound] }),
    [["networking.inbound[2].interface", "127.0.0.1:80 is already used by networking.inbound[0].interface"]],
  ],
  [
    "two inbounds of one listener with different service ports",
    networking({ inbound: [inbound, { interface: "127.0.0.1:80:81", tags: { service: "other" } }] }),
    [["networking.inbound[1].interface", "127.0.0.1:80 is already used by networking.inbound[0].interface"]],
  ],
  [
    "two inbounds of one port on two addresses",
    networking({ inbound: [inbound, { interface: "127.0.0.2:80:8080", tags }] }),
    [],
  ],
  [
    "outbounds on listeners that are taken, reported last",
    networking({
      outbound: [
        { interface: ":80", service: "a" },
        { interface: ":81", service: "b" },
        { interface: "127.0.0.1:81", service: "" },
      ],
    }),
    [
      ["networking.outbound[2].service", "cannot be empty"],
      ["networking.outbound[0].interface", "127.0.0.1:80 is already used by networking.inbound[0].interface"],
      ["networking.outbound[2].interface", "127.0.0.1:81 is already used by networking.outbound[1].interface"],
    ],
  ],
  [
    "an inbound on every address, which is none for other dataplanes",
    { networking: { inbound: [{ interface: "0.0.0.0:80:81", tags }] } },
    [
      [
        "networking.inbound[0].interface",
        "0.0.0.0 is no address that other dataplanes could connect to; expected the IP address by which they reach this one, such as 192.168.0.1",
      ],
    ],
  ],
  [
    "an outbound on every address, beside other ports",
    networking({ outbound: [{ interface: "0.0.0.0:82", service: "a" }] }),
    [],
  ],
  [
    "an outbound on every address, on the port of an inbound",
    networking({ outbound: [{ interface: "0.0.0.0:80", service: "a" }] }),
    [
      [
        "networking.outbound[0].interface",
        "0.0.0.0:80 is port 80 of every address, and 127.0.0.1:80 is already used by networking.inbound[0].interface",
      ],
    ],
  ],
  [
    "outbounds on one address after one on every address",
    networking({
      outbound: [
        { interface: "0.0.0.0:82", service: "a" },
        { interface: ":82", service: "b" },
        { interface: "10.0.0.1:82", service: "c" },
      ],
    }),
    [
      [
        "networking.outbound[1].interface",
        "127.0.0.1:82 is already used by networking.outbound[0].interface: 0.0.0.0:82 is port 82 of every address",
      ],
      [
        "networking.outbound[2].interface",
        "10.0.0.1:82 is already used by networking.outbound[0].interface: 0.0.0.0:82 is port 82 of every address",
      ],
    ],
  ],
  [
    "an outbound on every address beside another one, where redirected connections come by one socket",
    networking({
      transparentProxying: { redirectPort: 15001 },
      outbound: [
        { interface: "0.0.0.0:82", service: "a" },
        { interface: "10.0.0.1:82", service: "b" },
      ],
    }),
    [],
  ],
  [
    "an inbound that is its own workload",
    { networking: { inbound: [{ interface: "127.0.0.1:80:80", tags }] } },
    [
      [
        "networking.inbound[0].interface",
        "connections would never leave the proxy: the workload at 127.0.0.1:80 would be this inbound itself; expected another WORKLOAD_PORT",
      ],
    ],
  ],
  [
    "an inbound of another address with the port of its workload",
    { networking: { inbound: [{ interface: "192.168.0.1:80:80", tags }] } },
    [],
  ],
  [
    "an inbound whose workload is an outbound to its own service",
    {
      networking: {
        inbound: [{ interface: "192.168.0.1:80:81", tags: { service: "x" } }],
        outbound: [{ interface: "0.0.0.0:81", service: "x" }],
      },
    },
    [
      [
        "networking.inbound[0].interface",
        "connections would never leave the proxy: 127.0.0.1:81, where the workload should listen, is used by networking.outbound[0].interface, which leads back here",
      ],
    ],
  ],
  [
    "an inbound whose workload is an outbound to another service",
    {
      networking: {
        inbound: [{ interface: "192.168.0.1:80:81", tags: { service: "x" } }],
        outbound: [{ interface: ":81", service: "y" }],
      },
    },
    [],
  ],
  [
    "two inbounds that lead to each other",
    {
      networking: {
        inbound: [
          { interface: "127.0.0.1:80:81", tags: { service: "x" } },
          { interface: "127.0.0.1:81:80", tags: { service: "y" } },
          { interface: "127.0.0.1:82:83", tags: { service: "z" } },
        ],
      },
    },
    [
      [
        "networking.inbound[0].interface",
        "connections would never leave the proxy: 127.0.0.1:81, where the workload should listen, is used by networking.inbound[1].interface, which leads back here",
      ],
      [
        "networking.inbound[1].interface",
        "connections would never leave the proxy: 127.0.0.1:80, where the workload should listen, is used by networking.inbound[0].interface, which leads back here",
      ],
    ],
  ],
  [
    "an inbound whose workload is where redirected connections arrive",
    {
      networking: {
        inbound: [{ interface: "127.0.0.1:80:15001", tags }],
        transparentProxying: { redirectPort: 15001 },
      },
    },
    [
      [
        "networking.inbound[0].interface",
        "127.0.0.1:15001, where the workload should listen, is used by networking.transparentProxying.redirectPort",
      ],
    ],
  ],
]);

const oneElement = "must have at least one element";
const oneTag = "must have at least one tag";
const missing = 'mandatory tag "service" is missing';
const any = [{ match: { service: "*" } }];

for (const type of ["TrafficPermission", "TrafficLog"]) {
  table(type, [
    ["nothing at all", {}, [["rules", oneElement]]],
    ["empty lists", { rules: [], sources: [], destinations: [] }, [["rules", oneElement]]],
    ["rules", { rules: [{ sources: any, destinations: any }] }, []],
    ["flat", { sources: any, destinations: any }, []],
    ["both forms", { sources: any, destinations: any, rules: [{ sources: any, destinations: any }] }, []],
    ["a conf in a rule", { rules: [{ sources: any, destinations: any, conf: {} }] }, []],
    [
      "any tags on both sides",
      { sources: [{ match: { service: "a", version: "1" } }], destinations: [{ match: { env: "dev", service: "b" } }] },
      [],
    ],
    [
      "an empty rule",
      { rules: [{}] },
      [
        ["rules[0].sources", oneElement],
        ["rules[0].destinations", oneElement],
      ],
    ],
    [
      "keys that no tag can have",
      {
        sources: [{ match: { service: "a", "k\n": "v" } }],
        destinations: [{ match: { service: "b", ["k".repeat(256)]: "v", ["k".repeat(255)]: "v" } }],
      },
      [
        ['sources[0].match["k\\n"]', `tag key ${blanks}`],
        [`destinations[0].match["${"k".repeat(100)}…"]`, "tag key cannot be longer than 255 characters"],
      ],
    ],
    ["half a flat rule", { sources: any }, [["destinations", oneElement]]],
    ["the other half", { destinations: any }, [["sources", oneElement]]],
    [
      "empty matches",
      { rules: [{ sources: [{}], destinations: [{ match: {} }] }] },
      [
        ["rules[0].sources[0].match", oneTag],
        ["rules[0].sources[0].match", missing],
        ["rules[0].destinations[0].match", oneTag],
        ["rules[0].destinations[0].match", missing],
      ],
    ],
    [
      "no service",
      { rules: [{ sources: [{ match: { version: "1" } }], destinations: any }] },
      [["rules[0].sources[0].match", missing]],
    ],
    [
      "empty keys and values, in sorted order",
      { sources: [{ match: { version: "", service: "a", "": "b", app: "" } }], destinations: any },
      [
        ["sources[0].match", "tag key must be non-empty"],
        ['sources[0].match["app"]', "tag value must be non-empty"],
        ['sources[0].match["version"]', "tag value must be non-empty"],
      ],
    ],
    [
      "both forms wrong, the flat one first",
      {
        rules: [{ sources: any, destinations: any }, { sources: any }],
        sources: any,
        destinations: [{ match: { service: "" } }],
      },
      [
        ['destinations[0].match["service"]', "tag value must be non-empty"],
        ["rules[1].destinations", oneElement],
      ],
    ],
    [
      "a tag called __proto__",
      { sources: [{ match: JSON.parse('{"__proto__":"x"}') }], destinations: any },
      [["sources[0].match", missing]],
    ],
  ]);
}

table("TrafficLog", [
  ["a conf alone", { conf: { backend: "b" } }, [["rules", oneElement]]],
  [
    "a conf beside rules",
    { conf: { backend: "b" }, rules: [{ sources: any, destinations: any }] },
    [
      ["sources", oneElement],
      ["destinations", oneElement],
    ],
  ],
  ["a backend that no mesh has", { sources: any, destinations: any, conf: { backend: "nowhere" } }, []],
]);

table("TrafficPermission", [
  ["any conf in a rule", { rules: [{ sources: any, destinations: any, conf: { anything: [1, { at: "all" }] } }] }, []],
]);

const serviceOnly = 'must consist of exactly one tag "service"';
const share = { weight: 1, destination: { service: "a", version: "1" } };

const serviceOnlyDestinations = (rest: Record<string, unknown>): Rows => [
  ["sources with tags", { ...rest, sources: [{ match: { service: "a", x: "*" } }], destinations: any }, []],
  [
    "sources without a service",
    { ...rest, sources: [{ match: { x: "y" } }], destinations: any },
    [["sources[0].match", missing]],
  ],
  [
    "an empty destination",
    { ...rest, sources: any, destinations: [{}] },
    [
      ["destinations[0].match", oneTag],
      ["destinations[0].match", serviceOnly],
      ["destinations[0].match", missing],
    ],
  ],
  [
    "a destination with more tags",
    { ...rest, sources: any, destinations: [{ match: { service: "", version: "", "": "x" } }] },
    [
      ["destinations[0].match", serviceOnly],
      ["destinations[0].match", "tag key must be non-empty"],
      ['destinations[0].match[""]', 'tag "" is not allowed'],
      ['destinations[0].match["service"]', "tag value must be non-empty"],
      ['destinations[0].match["version"]', 'tag "version" is not allowed'],
      ['destinations[0].match["version"]', "tag value must be non-empty"],
    ],
  ],
];

table("TrafficRoute", [
  [
    "nothing at all",
    {},
    [
      ["sources", oneElement],
      ["destinations", oneElement],
      ["conf", oneElement],
    ],
  ],
  ...serviceOnlyDestinations({ conf: [share] }),
  ["no weight", { sources: any, destinations: any, conf: [{ destination: { service: "a" } }] }, []],
  [
    "bad shares",
    { sources: any, destinations: any, conf: [share, {}, { destination: { version: "" } }] },
    [
      ["conf[1].destination", oneTag],
      ["conf[1].destination", missing],
      ['conf[2].destination["version"]', "tag value must be non-empty"],
      ["conf[2].destination", missing],
    ],
  ],
  ...[
    ["*", 'cannot be "*"'],
    ["a b", blanks],
    ["a/b", unspeakable],
    ["localhost:80", reserved],
  ].map(([service = "", message = ""]): Rows[number] => [
    `a destination that no service can be: ${service}`,
    { sources: any, destinations: any, conf: [{ weight: 1, destination: { service, version: "*" } }] },
    [['conf[0].destination["service"]', message]],
  ]),
]);

const positive = "must have a positive value";
const active = { interval: "10s", timeout: "2s", unhealthyThreshold: 3, healthyThreshold: 1 };
const passive = { unhealthyThreshold: 3, penaltyInterval: "5s" };
const check = (conf: unknown) => ({ sources: any, destinations: any, conf });
const neither = ["conf", "must have either active or passive checks configured"] as const;

table("HealthCheck", [
  ["nothing at all", {}, [["sources", oneElement], ["destinations", oneElement], neither]],
  ...serviceOnlyDestinations({ conf: { activeChecks: active } }),
  ["both kinds", check({ activeChecks: active, passiveChecks: passive }), []],
  ["passive checks", check({ passive_checks: passive }), []],
  ["no checks", check({}), [neither]],
  ["empty checks", check({ activeChecks: {}, passiveChecks: {} }), [neither]],
  ["checks of zeros", check({ activeChecks: { interval: "0s", healthyThreshold: 0 } }), [neither]],
  ["empty checks beside good ones", check({ activeChecks: active, passiveChecks: {} }), []],
  [
    "half an active check",
    check({ activeChecks: { timeout: "1s" } }),
    [
      ["conf.activeChecks.interval", positive],
      ["conf.activeChecks.unhealthyThreshold", positive],
      ["conf.activeChecks.healthyThreshold", positive],
    ],
  ],
  [
    "half a passive check",
    check({ passiveChecks: { unhealthyThreshold: 1 } }),
    [["conf.passiveChecks.penaltyInterval", positive]],
  ],
  [
    "the other half",
    check({ passiveChecks: { penaltyInterval: "1s" } }),
    [["conf.passiveChecks.unhealthyThreshold", positive]],
  ],
  [
    "durations that are negative or too long",
    check({ activeChecks: { ...active, interval: "-1s", timeout: "315576000001s" } }),
    [
      ["conf.activeChecks.interval", positive],
      ["conf.activeChecks.timeout", "must have a valid value"],
    ],
  ],
  [
    "durations of 292 years, and longer than that",
    check({ activeChecks: { ...active, interval: "9223372035s", timeout: "9223372035.000000001s" } }),
    [["conf.activeChecks.timeout", "must have a valid value"]],
  ],
]);

const profileNotFound = "profile not found. Available profiles: default-proxy";
const raw = { name: "n", version: "v", resource: "'@type': type.googleapis.com/envoy.api.v2.Cluster" };
const native = (reason: string) => `native Envoy resource is not valid: ${reason}`;
const needsType = native('it needs "@type", such as type.googleapis.com/envoy.api.v2.Cluster');

table("ProxyTemplate", [
  ["nothing at all", {}, []],
  ["selectors without a service or without tags", { selectors: [{ match: { app: "a" } }, { match: {} }, {}] }, []],
  [
    "empty keys and values",
    { selectors: [{ match: { "": "", a: "" } }] },
    [
      ["selectors[0].match", "tag key must be non-empty"],
      ['selectors[0].match[""]', "tag value must be non-empty"],
      ['selectors[0].match["a"]', "tag value must be non-empty"],
    ],
  ],
  [
    "keys that no tag can have",
    { selectors: [{ match: { "a b": "x", "\u009b2J": "x", "*": "x", constructor: "x" } }] },
    [
      ['selectors[0].match["*"]', 'tag key cannot be "*", which only a value in a selector can be'],
      ['selectors[0].match["a b"]', `tag key ${blanks}`],
      ['selectors[0].match["\\u009b2J"]', `tag key ${blanks}`],
    ],
  ],
  ["a JSON resource", { resources: [{ ...raw, resource: '{\n\t"@type": "x",\n\t"name": "y"\n}' }] }, []],
]);

for (const [layout, prefix, at] of [
  ["flat", "", (content: Record<string, unknown>) => content],
  ["nested", "conf.", (content: Record<string, unknown>) => ({ conf: content })],
] as const) {
  const resource = (text: string, reason: string): Rows[number] => [
    `${layout} resource ${JSON.stringify(text.slice(0, 40))}`,
    at({ resources: [{ ...raw, resource: text }] }),
    [[`${prefix}resources[0].resource`, reason]],
  ];
  table("ProxyTemplate", [
    [`${layout} imports`, at({ imports: ["default-proxy"] }), []],
    [
      `unknown ${layout} imports`,
      at({ imports: ["x", "default-proxy", ""] }),
      [
        [`${prefix}imports[0]`, profileNotFound],
        [`${prefix}imports[2]`, "cannot be empty"],
      ],
    ],
    [
      `an empty ${layout} resource`,
      at({ resources: [raw, {}] }),
      [
        [`${prefix}resources[1].name`, "cannot be empty"],
        [`${prefix}resources[1].version`, "cannot be empty"],
        [`${prefix}resources[1].resource`, "cannot be empty"],
      ],
    ],
    resource("just text", native("it has to be a YAML or JSON object")),
    resource("- a list", native("it has to be a YAML or JSON object")),
    resource("name: x", needsType),
    resource("'@type': ''", needsType),
    resource("'@type': 3", needsType),
    resource("a: b: c", native("bad indentation of a mapping entry (line 1, column 5)")),
    resource("'@type': x\n---\na: b", native("expected a single document in the stream, but found more")),
    resource(`'@type': ${"[".repeat(50_000)}`, native("nesting exceeded maxDepth (100) (line 1, column 109)")),
    resource("&self {'@type': x, self: *self}", native("the object is nested deeper than 100 levels")),
  ]);
}

table("ProxyTemplate", [
  [
    "both layouts wrong, the flat one first",
    { conf: { imports: ["y"] }, imports: ["x"] },
    [
      ["imports[0]", profileNotFound],
      ["conf.imports[0]", profileNotFound],
    ],
  ],
]);

test("a Mesh without a CA gets the built-in one, whatever else it contains", () => {
  for (const mtls of [undefined, null, {}, { ca: {} }, { ca: null }, { enabled: false }]) {
    assert.equal(read({ type: "Mesh", name: "m", mtls }).spec, { mtls: { ca: { builtin: {} } } });
  }
  assert.equal(read({ type: "Mesh", name: "m", mtls: { enabled: true } }).spec, {
    mtls: { enabled: true, ca: { builtin: {} } },
  });
});

test.run();
