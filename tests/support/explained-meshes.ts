import type { HealthCheck } from "../../src/resources/health-check.js";
import type { Mesh } from "../../src/resources/mesh.js";
import type { ProxyTemplate } from "../../src/resources/proxy-template.js";
import type { TrafficLog } from "../../src/resources/traffic-log.js";
import type { TrafficRoute } from "../../src/resources/traffic-route.js";
import type { Stored } from "../../src/store/store.js";
import { dataplane, permission, stored } from "./mesh-view.js";

type Tags = Readonly<Record<string, string>>;

/** Selectors in short form: a string is a service. */
export const match = (...all: readonly (string | Tags)[]) =>
  all.map((tags) => ({ match: typeof tags === "string" ? { service: tags } : tags }));

const pair = (source: string | Tags, destination: string | Tags) => ({
  sources: match(source),
  destinations: match(destination),
});

const route = (name: string, source: string | Tags, to: string, conf: TrafficRoute["conf"]): Stored =>
  stored("TrafficRoute", name, { ...pair(source, to), ...(conf === undefined ? {} : { conf }) } satisfies TrafficRoute);

const check = (name: string): Stored =>
  stored("HealthCheck", name, {
    ...pair("*", "redis"),
    conf: { passiveChecks: { unhealthyThreshold: 3, penaltyInterval: "5s" } },
  } satisfies HealthCheck);

/** A mesh in which every policy type selects `web-1`, in every way in which policies compete. */
export const policyMesh: readonly Stored[] = [
  stored("Mesh", "m", {
    mtls: { enabled: true, ca: { builtin: {} } },
    logging: {
      defaultBackend: "file",
      backends: [
        { name: "file", file: { path: "/tmp/log" } },
        { name: "tcp", tcp: { address: "127.0.0.1:5000" } },
      ],
    },
  } satisfies Mesh),
  dataplane("web-1", {
    inbound: [
      { interface: "10.0.0.1:8000:80", tags: { service: "web", version: "1" } },
      { interface: "10.0.0.1:8001:81", tags: { service: "metrics" } },
      { interface: "10.0.0.1:8001:81", tags: { service: "admin" } },
    ],
    outbound: [
      { interface: ":10000", service: "redis" },
      { interface: ":10001", service: "mysql" },
    ],
  }),
  permission("shop", { rules: [pair("shop", "admin"), pair("shop", { service: "web", version: "*" })] }),
  permission("ops", pair({ service: "ops", team: "a" }, {})),
  permission("others", pair("*", "redis")),
  route("canary", { service: "web", version: "1" }, "redis", [
    { weight: 90, destination: { service: "redis", version: "1" } },
    { destination: { service: "redis", version: "2" } },
    { weight: 10, destination: { service: "redis-next" } },
  ]),
  route("all-to-redis", "*", "redis", [{ weight: 1, destination: { service: "redis" } }]),
  route("everything", "*", "*", [{ weight: 1, destination: { service: "redis" } }]),
  route("no-mysql", "*", "mysql", [{ destination: { service: "mysql" } }]),
  check("b"),
  check("a"),
  stored("TrafficLog", "log-all", {
    rules: [pair("web", "*"), { ...pair("*", "redis"), conf: { backend: "tcp" } }],
  } satisfies TrafficLog),
  stored("TrafficLog", "log-lost", { ...pair("*", "redis"), conf: { backend: "gone" } } satisfies TrafficLog),
  stored("ProxyTemplate", "raw-all", {} satisfies ProxyTemplate),
  stored("ProxyTemplate", "raw-web", { selectors: match("web") } satisfies ProxyTemplate),
];
