/** The product documentation's examples, as JSON documents. */
const mesh = {
  name: "mesh-1",
  type: "Mesh",
  mtls: { ca: { builtin: {} }, enabled: true },
  tracing: {},
  logging: {
    backends: [
      {
        name: "file-tmp",
        format:
          '{ "destination": "%KUMA_DESTINATION_SERVICE%", "destinationAddress": "%UPSTREAM_LOCAL_ADDRESS%", "source": "%KUMA_SOURCE_SERVICE%", "sourceAddress": "%KUMA_SOURCE_ADDRESS%", "bytesReceived": "%BYTES_RECEIVED%", "bytesSent": "%BYTES_SENT%"}',
        file: { path: "/tmp/access.log" },
      },
      { name: "logstash", tcp: { address: "logstash.internal:9000" } },
    ],
  },
};

const networking = {
  inbound: [{ interface: "127.0.0.1:11011:11012", tags: { service: "backend", version: "2.0", env: "production" } }],
  outbound: [
    { interface: ":33033", service: "database" },
    { interface: ":44044", service: "user" },
  ],
};

const dataplane = { type: "Dataplane", name: "backend-1", mesh: "mesh-1", networking };

const one = { responsesSent: "1", responsesAcknowledged: "1" };

const dataplaneOverview = {
  type: "DataplaneOverview",
  mesh: "default",
  name: "example",
  dataplane: { networking },
  dataplaneInsight: {
    subscriptions: [
      {
        id: "426fe0d8-f667-11e9-b081-acde48001122",
        controlPlaneInstanceId: "06070748-f667-11e9-b081-acde48001122",
        connectTime: "2019-10-24T14:04:56.820350Z",
        status: {
          lastUpdateTime: "2019-10-24T14:04:57.832482Z",
          total: { responsesSent: "3", responsesAcknowledged: "3" },
          cds: one,
          eds: one,
          lds: one,
          rds: {},
        },
      },
    ],
  },
};

const proxyTemplate = {
  type: "ProxyTemplate",
  name: "pt-1",
  mesh: "mesh-1",
  selectors: [{ match: { app: "backend" } }],
  imports: ["default-proxy"],
  resources: [
    {
      name: "raw-name",
      version: "raw-version",
      resource:
        "'@type': type.googleapis.com/envoy.api.v2.Cluster\nconnectTimeout: 5s\nloadAssignment:\n  clusterName: localhost:8443\n  endpoints:\n    - lbEndpoints:\n        - endpoint:\n            address:\n              socketAddress:\n                address: 127.0.0.1\n                portValue: 8443\nname: localhost:8443\ntype: STATIC\n",
    },
  ],
};

const from = (tags: Record<string, string>) => [{ match: tags }];

const trafficPermission = {
  type: "TrafficPermission",
  name: "tp-1",
  mesh: "mesh-1",
  rules: [
    { sources: from({ service: "web" }), destinations: from({ service: "backend" }) },
    { sources: from({ service: "backend", version: "1" }), destinations: from({ service: "redis", version: "1" }) },
    { sources: from({ service: "backend", version: "2" }), destinations: from({ service: "redis", version: "2" }) },
  ],
};

const trafficLog = {
  type: "TrafficLog",
  mesh: "mesh-1",
  name: "tl-1",
  rules: [
    {
      sources: from({ service: "web", version: "1.0" }),
      destinations: from({ env: "dev", service: "backend" }),
      conf: { backend: "file" },
    },
    { sources: from({ service: "backend" }), destinations: from({ service: "redis" }) },
  ],
};

/** Examples in the other form or layout, and of types without an example in the product documentation. */
const flatTrafficPermission = {
  type: "TrafficPermission",
  name: "flat",
  mesh: "mesh-1",
  sources: from({ service: "web" }),
  destinations: from({ service: "*" }),
};

const flatTrafficLog = { ...flatTrafficPermission, type: "TrafficLog", conf: { backend: "logstash" } };

const nestedProxyTemplate = {
  type: "ProxyTemplate",
  name: "nested",
  mesh: "mesh-1",
  conf: { imports: proxyTemplate.imports, resources: proxyTemplate.resources },
};

const trafficRoute = {
  type: "TrafficRoute",
  name: "route",
  mesh: "mesh-1",
  sources: from({ service: "web", region: "*" }),
  destinations: from({ service: "backend" }),
  conf: [
    { weight: 90, destination: { service: "backend", version: "1.0" } },
    { destination: { service: "backend", version: "2.0" } },
  ],
};

const healthCheck = {
  type: "HealthCheck",
  name: "check",
  mesh: "mesh-1",
  sources: from({ service: "*" }),
  destinations: from({ service: "backend" }),
  conf: {
    activeChecks: { interval: "10s", timeout: "0.500s", unhealthyThreshold: 3, healthyThreshold: 1 },
    passiveChecks: { unhealthyThreshold: 3, penaltyInterval: "5s" },
  },
};

export const documented: readonly Record<string, unknown>[] = [
  mesh,
  dataplane,
  dataplaneOverview,
  proxyTemplate,
  trafficPermission,
  trafficLog,
];

export const examples: readonly Record<string, unknown>[] = [
  ...documented,
  flatTrafficPermission,
  flatTrafficLog,
  nestedProxyTemplate,
  trafficRoute,
  healthCheck,
  { type: "DataplaneHealth", mesh: "default", name: "example", down: [6379, 8080] },
  { type: "DataplaneInsight", mesh: "default", name: "example", ...dataplaneOverview.dataplaneInsight },
  { type: "Secret", mesh: "default", name: "key", value: "c2VjcmV0" },
];
