import type { Steps } from "../../lib/steps.js";
import { certificateOf } from "../../policy/explain/certificate.js";
import type { Observations } from "../../policy/explain/observations.js";
import type { Problem } from "../../policy/explain/problem.js";
import { explainTraffic } from "../../policy/explain/traffic.js";
import { idlePolicies } from "../../policy/idle-policies.js";
import { mtlsEnabled } from "../../resources/mesh.js";
import type { MeshView, ProxyView } from "../../view/mesh-view.js";
import { servicesOf } from "../../view/proxy.js";

/** Something in a mesh that does not work, or has no effect, as far as the control plane knows. */
export interface MeshProblem {
  /** Those of `explain`, and `idle-policy`, `no-backend` and `no-secret-stream`. */
  readonly code: string;
  /** A sentence without a full stop. */
  readonly message: string;
  readonly dataplanes?: readonly string[];
}

export interface MeshProblems {
  readonly mesh: string;
  readonly problems: readonly MeshProblem[];
  /** False when the mesh has more pairs of services with an outbound than were looked at. */
  readonly complete: boolean;
}

export interface MeshProblemsOptions {
  readonly observations: Observations;
  /** Whether a proxy has been connected for so long that it should have its certificate by now. */
  readonly settled: (proxy: string) => boolean;
  /** Whether a proxy has a stream with an SDS server; undefined when another control plane may have it. */
  readonly hasSecretStream?: (proxy: string) => boolean | undefined;
  /** How many pairs of services are looked at. */
  readonly mostPairs?: number;
}

/** Between two services something is said of these; of a single dataplane it is said once, below or by its insight. */
const ofOneDataplane: ReadonlySet<string> = new Set([
  "no-source",
  "no-outbound",
  "offline",
  "certificate-missing",
  "certificate-expired",
  "certificate-refused",
  "certificate-outdated",
  "refused",
  "pending",
  "application-down",
  // Meant as they are, as far as can be told.
  "raw",
  "elsewhere",
]);

const usuallyMostPairs = 500;

/** From which services outbounds lead where. A dataplane stands for one of its services: its policies are for all of them. */
function* pairsOf({ proxies }: MeshView): Steps<readonly (readonly [from: string, to: string])[]> {
  const pairs = new Map<string, readonly [string, string]>();
  for (const proxy of proxies.values()) {
    yield;
    const [from] = servicesOf(proxy);
    if (from === undefined) continue;
    for (const { service: to } of proxy.outbounds) pairs.set(JSON.stringify([from, to]), [from, to]);
  }
  return [...pairs.values()];
}

function certificateProblem(proxy: ProxyView, { observations, settled }: MeshProblemsOptions): MeshProblem | undefined {
  const { name } = proxy;
  const observed = observations.proxy(name);
  if (!observed.online || !settled(name)) return undefined;
  const certificate = certificateOf(observed, servicesOf(proxy), observations.now);
  // Of a token that was refused the insight tells.
  if (certificate.state !== "missing" || certificate.reason !== undefined) return undefined;
  const message = `${name} is connected, and its Envoy has not taken a certificate since it started`;
  return { code: "certificate-missing", message, dataplanes: [name] };
}

/** It lives by the certificate that it has, and would only be missed when that ends, weeks later. */
function secretStreamProblem(
  { name }: ProxyView,
  { observations, settled, hasSecretStream }: MeshProblemsOptions,
): MeshProblem | undefined {
  const observed = observations.proxy(name);
  if (!observed.online || !settled(name) || hasSecretStream?.(name) !== false) return undefined;
  // Of one without a certificate, or with a token that was refused, more is said elsewhere.
  if (observed.notAfter === undefined || observed.refusal !== undefined) return undefined;
  const until = `its certificate, which ends at ${observed.notAfter.toISOString()}, can't be renewed`;
  return {
    code: "no-secret-stream",
    message: `${name} is not connected to the SDS server: ${until}`,
    dataplanes: [name],
  };
}

/** Rules that take effect nowhere in the mesh as it is. */
function* ineffectiveRules({ resource: mesh, policies }: MeshView): Steps<MeshProblem[]> {
  const facts = { mesh: mesh?.spec ?? {}, mayLogTo: () => true };
  const problems: MeshProblem[] = [];
  for (const { type, byName } of Object.values(policies)) {
    const { policy: traits } = type;
    if (traits.outcome === undefined) continue;
    for (const { name, spec } of byName.values()) {
      yield;
      for (const [index, { conf }] of traits.rules(spec).entries()) {
        const { reason, why } = traits.outcome(conf, facts);
        if (why === undefined) continue;
        const where = traits.rulePath?.(spec, index);
        const rule = where === undefined ? "" : ` (${where})`;
        problems.push({ code: reason, message: `${type.name} "${name}"${rule} ${why}` });
      }
    }
  }
  return problems;
}

const distinct = (problems: readonly MeshProblem[]) => [
  ...new Map(problems.map((one) => [`${one.code} ${one.message}`, one])).values(),
];

/**
 * What is wrong in a mesh: each of its outbounds is explained, and each policy looked at. It takes a millisecond or two for
 * each pair of services, of which only so many are looked at.
 */
export function* meshProblems(mesh: MeshView, options: MeshProblemsOptions): Steps<MeshProblems> {
  const { observations, mostPairs = usuallyMostPairs } = options;
  const pairs = yield* pairsOf(mesh);
  const problems: MeshProblem[] = [];
  for (const [from, to] of pairs.slice(0, mostPairs)) {
    yield;
    const explained: readonly Problem[] = explainTraffic(mesh, { from, to }, observations).problems;
    problems.push(...explained.filter(({ code }) => !ofOneDataplane.has(code)));
  }
  for (const { name, unusable } of mesh.proxies.values()) {
    if (unusable.length === 0) continue;
    const message = `${name} offers nothing, because ${unusable.join(", ")} can't be read`;
    problems.push({ code: "unusable", message, dataplanes: [name] });
  }
  if (mtlsEnabled(mesh.resource?.spec)) {
    for (const proxy of mesh.proxies.values()) {
      yield;
      for (const problem of [certificateProblem(proxy, options), secretStreamProblem(proxy, options)]) {
        if (problem !== undefined) problems.push(problem);
      }
    }
  }
  problems.push(...(yield* ineffectiveRules(mesh)));
  const idle = yield* idlePolicies(mesh);
  problems.push(
    ...idle.map(({ type, name, reason }) => ({ code: "idle-policy", message: `${type} "${name}" ${reason}` })),
  );
  return { mesh: mesh.name, problems: distinct(problems), complete: pairs.length <= mostPairs };
}
