import { identityName, meshCaName } from "../../envoy/tls.js";
import type { Authorities } from "../../identity/authorities.js";
import { nearest } from "../../lib/suggest.js";
import { inSlices } from "../../net/slices.js";
import { type DataplanePolicies, dataplanePolicies } from "../../policy/dataplane-policies.js";
import type { TrafficExplanation } from "../../policy/explain/explanation.js";
import type { Observations } from "../../policy/explain/observations.js";
import { explainTraffic } from "../../policy/explain/traffic.js";
import { type DataplaneInsight, dataplaneInsightType } from "../../resources/dataplane-insight.js";
import { mtlsEnabled } from "../../resources/mesh.js";
import { readStored } from "../../store/read.js";
import type { Store } from "../../store/store.js";
import type { MeshView, ProxyView, View } from "../../view/mesh-view.js";
import { servicesOf } from "../../view/proxy.js";
import type { ProxyStream } from "../../xds/configuration/proxies.js";
import type { ProxyId } from "../../xds/node.js";
import type { SecretServer } from "../../xds/secrets/server.js";
import { bundleVersion } from "../../xds/secrets/stream.js";
import { type MeshProblems, meshProblems } from "./mesh-problems.js";
import { logFilesOf, observe, recordedExpiration } from "./observations.js";
import { type SentResource, sentOn, type UnacknowledgedResource, unacknowledgedOn } from "./xds-state.js";

/** The configuration last sent to a proxy. */
export interface ConfigDump {
  readonly mesh: string;
  readonly dataplane: string;
  /** Its streams with this control plane, newest last. */
  readonly streams: readonly { readonly resources: readonly SentResource[] }[];
  /** Other control plane instances that it has streams with. */
  readonly elsewhere: readonly string[];
}

/** The configuration that a proxy has not acknowledged. */
export interface ConfigDiff {
  readonly mesh: string;
  readonly dataplane: string;
  /** True if it is connected and has acknowledged everything. */
  readonly settled: boolean;
  readonly streams: readonly { readonly differences: readonly UnacknowledgedResource[] }[];
  /**
   * Those of `identity_cert` and `mesh_ca` that it lacks, or has with old content, while mTLS is enabled; secrets have
   * streams of their own.
   */
  readonly missingSecrets: readonly string[];
  readonly elsewhere: readonly string[];
}

/** The result, or which part of the request names something that doesn't exist. */
export type Answer<T> =
  | { readonly kind: "found"; readonly value: T }
  | { readonly kind: "unknown"; readonly field: Field; readonly message: string };

/** Explains why traffic flows as it does. Read-only. */
export interface Diagnosis {
  policies(mesh: string, dataplane: string): Answer<DataplanePolicies>;
  configDump(mesh: string, dataplane: string): Promise<Answer<ConfigDump>>;
  configDiff(mesh: string, dataplane: string): Promise<Answer<ConfigDiff>>;
  /** From one service to another. */
  traffic(mesh: string, from: string, to: string): Promise<Answer<TrafficExplanation>>;
  /** The problems of a mesh, cached for a second, longer in a large mesh. */
  problems(mesh: string): Promise<Answer<MeshProblems>>;
}

export interface DiagnosisOptions {
  readonly view: () => View;
  readonly store: Pick<Store, "get" | "list">;
  readonly xds: { streams(proxy: ProxyId): readonly ProxyStream[] };
  readonly secrets: Pick<SecretServer, "proxies">;
  readonly authorities: Pick<Authorities, "authority">;
  readonly instanceId: string;
  /**
   * Whether no other control plane shares the store: then a proxy that is not connected here is not connected at all.
   */
  readonly alone?: () => Promise<boolean>;
  readonly now?: () => Date;
}

type Field = "mesh" | "name" | "from" | "to";

/** Limits suggestions: comparing a name with thousands takes time. */
const mostCompared = 1_000;
const mostListed = 10;

/** `there is no service "redsi" in mesh "default"; did you mean "redis"?` */
function unknown(
  field: Field,
  [kind, where]: readonly [kind: string, where: string],
  name: string,
  known: Iterable<string>,
) {
  const names = [...known].sort();
  const meant = nearest(name, names.slice(0, mostCompared));
  const some = names.length > 0 && names.length <= mostListed;
  const listed = some ? `; known are ${names.map((one) => `"${one}"`).join(", ")}` : "";
  const hint = meant === undefined ? listed : `; did you mean "${meant}"?`;
  return { kind: "unknown", field, message: `there is no ${kind} "${name.slice(0, 200)}"${where}${hint}` } as const;
}

const found = <T>(value: T) => ({ kind: "found", value }) as const;

/** All services, inbound and outbound: an outbound's service may have no inbound. */
function knownServices({ proxies }: MeshView): Set<string> {
  const services = new Set<string>();
  for (const { inbounds, outbounds } of proxies.values()) {
    for (const { service } of inbounds) services.add(service);
    for (const { service } of outbounds) services.add(service);
  }
  return services;
}

/** The problems of a mesh are computed at most once in this time, however often they are requested. */
const problemsLastMs = 1_000;
/** And if that takes long, for at most a fifth of the time. */
const restShare = 4;
/** Envoy requests its certificate once it has its clusters, and waits up to 15 s for their dependencies. */
const settlingMs = 30_000;

export function createDiagnosis(options: DiagnosisOptions): Diagnosis {
  const { view, store, xds, secrets, authorities, instanceId, alone, now = () => new Date() } = options;

  function meshOf(name: string): Answer<MeshView> {
    const mesh = view().get(name);
    if (mesh?.resource !== undefined) return found(mesh);
    const known = [...view().values()].flatMap((one) => (one.resource === undefined ? [] : [one.name]));
    return unknown("mesh", ["Mesh", ""], name, known);
  }

  function proxyOf(meshName: string, name: string): Answer<{ readonly mesh: MeshView; readonly proxy: ProxyView }> {
    const mesh = meshOf(meshName);
    if (mesh.kind === "unknown") return mesh;
    const proxy = mesh.value.proxies.get(name);
    if (proxy !== undefined) return found({ mesh: mesh.value, proxy });
    return unknown("name", ["Dataplane", ` in mesh "${meshName}"`], name, mesh.value.proxies.keys());
  }

  async function insightOf(mesh: string, name: string): Promise<DataplaneInsight> {
    const stored = await readStored(store, dataplaneInsightType, { mesh, name });
    return stored?.spec ?? {};
  }

  async function observationsOf(mesh: string): Promise<Observations> {
    const insights = await store.list(dataplaneInsightType, mesh);
    return observe({
      instanceId,
      streams: (name) => xds.streams({ mesh, name }),
      secrets: secrets.proxies(mesh),
      insights: new Map(insights.map(({ name, spec }) => [name, spec])),
      now: now(),
    });
  }

  async function findProblems(mesh: MeshView): Promise<MeshProblems> {
    const observations = await observationsOf(mesh.name);
    const settled = (name: string) => {
      const newest = xds.streams({ mesh: mesh.name, name }).at(-1);
      return newest !== undefined && now().getTime() - newest.since.getTime() >= settlingMs;
    };
    // An unavailable store must not hide the other problems.
    const only = (await alone?.().catch(() => false)) === true;
    const connected = secrets.proxies(mesh.name);
    const hasSecretStream = (name: string) => (only ? connected.has(name) : undefined);
    return inSlices(meshProblems(view().get(mesh.name) ?? mesh, { observations, settled, hasSecretStream }));
  }

  /** Cached problems by mesh, with the time until which they are valid. */
  const problems = new Map<string, { readonly found: Promise<MeshProblems>; until: number }>();

  function problemsOf(mesh: MeshView): Promise<MeshProblems> {
    const begun = performance.now();
    for (const [name, { until }] of problems) if (until <= begun) problems.delete(name);
    const recent = problems.get(mesh.name);
    if (recent !== undefined) return recent.found;
    const entry: { readonly found: Promise<MeshProblems>; until: number } = {
      found: findProblems(mesh).finally(() => {
        const ended = performance.now();
        entry.until = ended + Math.max(problemsLastMs, restShare * (ended - begun));
      }),
      until: Number.POSITIVE_INFINITY,
    };
    problems.set(mesh.name, entry);
    return entry.found;
  }

  /** Other control plane instances that the proxy has a stream with. */
  const elsewhere = ({ subscriptions = [] }: DataplaneInsight): string[] => [
    ...new Set(
      subscriptions
        .filter(({ disconnectTime }) => disconnectTime === undefined)
        .map(({ controlPlaneInstanceId = "" }) => controlPlaneInstanceId)
        .filter((id) => id !== "" && id !== instanceId),
    ),
  ];

  function missingSecrets(mesh: MeshView, proxy: ProxyView, insight: DataplaneInsight): string[] {
    if (!mtlsEnabled(mesh.resource?.spec)) return [];
    const authority = authorities.authority(mesh);
    const version = authority.kind === "ready" ? bundleVersion(authority) : undefined;
    const missing = (identified: boolean, trusts: boolean) => [
      ...(identified ? [] : [identityName]),
      ...(trusts ? [] : [meshCaName]),
    ];
    const taken = secrets.proxies(mesh.name).get(proxy.name);
    // Another control plane may serve the secrets; the insight records what it sent last.
    if (taken === undefined) {
      const expiration = recordedExpiration(insight, xds.streams({ mesh: mesh.name, name: proxy.name }));
      const { trustedRoots } = insight.mTLS ?? {};
      return missing(expiration !== undefined, trustedRoots !== undefined && trustedRoots === version);
    }
    const trusts = taken.trusted.length > 0 && taken.trusted.every((has) => has === version);
    const current = taken.identity?.services.join("\n") === servicesOf(proxy).join("\n");
    return missing(current, trusts);
  }

  return {
    policies(meshName, name) {
      const target = proxyOf(meshName, name);
      if (target.kind === "unknown") return target;
      return found(
        dataplanePolicies(target.value.mesh, target.value.proxy, logFilesOf(xds.streams({ mesh: meshName, name }))),
      );
    },
    async configDump(mesh, name) {
      const target = proxyOf(mesh, name);
      if (target.kind === "unknown") return target;
      const streams: ConfigDump["streams"][number][] = [];
      for (const stream of xds.streams({ mesh, name })) streams.push({ resources: await sentOn(stream.deliveries()) });
      return found({ mesh, dataplane: name, streams, elsewhere: elsewhere(await insightOf(mesh, name)) });
    },
    async configDiff(mesh, name) {
      const target = proxyOf(mesh, name);
      if (target.kind === "unknown") return target;
      const insight = await insightOf(mesh, name);
      const streams: ConfigDiff["streams"][number][] = [];
      for (const stream of xds.streams({ mesh, name })) {
        streams.push({ differences: await unacknowledgedOn(stream.deliveries()) });
      }
      const missing = missingSecrets(target.value.mesh, target.value.proxy, insight);
      const settled =
        streams.length > 0 && missing.length === 0 && streams.every(({ differences }) => differences.length === 0);
      return found({
        mesh,
        dataplane: name,
        settled,
        streams,
        missingSecrets: missing,
        elsewhere: elsewhere(insight),
      });
    },
    async traffic(meshName, from, to) {
      const known = meshOf(meshName);
      if (known.kind === "unknown") return known;
      const services = knownServices(known.value);
      for (const [field, service] of [
        ["from", from],
        ["to", to],
      ] as const) {
        if (services.has(service)) continue;
        return unknown(field, ["service", ` in mesh "${meshName}"`], service, services);
      }
      const observations = await observationsOf(meshName);
      const mesh = view().get(meshName) ?? known.value;
      return found(explainTraffic(mesh, { from, to }, observations));
    },
    async problems(meshName) {
      const known = meshOf(meshName);
      return known.kind === "unknown" ? known : found(await problemsOf(known.value));
    },
  };
}
