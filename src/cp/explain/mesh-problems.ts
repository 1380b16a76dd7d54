import type { Steps } from "../../lib/steps.js";
import { certificateOf } from "../../policy/explain/certificate.js";
import type { Observations } from "../../policy/explain/observations.js";
import type { Problem } from "../../policy/explain/problem.js";
import { explainTraffic } from "../../policy/explain/traffic.js";
import { idlePolicies } from "../../policy/idle-policies.js";
import { mtlsEnabled } from "../../resources/mesh.js";
import type { MeshView, ProxyView } from "../../view/mesh-view.js";
import { servicesOf } from "../../view/proxy.js";

/** Something in a mesh that does not work or has no effect, as far as the control plane knows. */
export interface MeshProblem {
  /** The codes of `explain`, and `idle-policy`, `no-backend` and `no-secret-stream`. */
  readonly code: string;
  /** A sentence without a full stop. */
  readonly message: string;
  readonly dataplanes?: readonly string[];
}

export interface MeshProblems {
  readonly mesh: string;
  readonly problems: readonly MeshProblem[];
  /** False if the mesh has more pairs of connected services than were checked. */
  readonly complete: boolean;
}

export interface MeshProblemsOptions {
  readonly observations: Observations;
  /** Whether a proxy has been connected long enough to have its certificate. */
  readonly settled: (proxy: string) => boolean;
  /** Whether a proxy has an SDS stream; undefined if another control plane may have it. */
  readonly hasSecretStream?: (proxy: string) => boolean | undefined;
  /** Maximum pairs of services to check. */
  readonly mostPairs?: number;
}

/** Skipped for pairs of services: they concern a single dataplane and are reported once, below or by its insight. */
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
  // Probably intended.
  "raw",
  "elsewhere",
]);

const usuallyMostPairs = 500;

/**
 * Pairs of services connected by an outbound. A dataplane counts as one of its services: its policies apply to all of
 * them.
 */
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
  // A rejected token is reported by the insight.
  if (certificate.state !== "missing" || certificate.reason !== undefined) return undefined;
  const message = `${name} is connected, but its Envoy has not received a certificate since it started`;
  return { code: "certificate-missing", message, dataplanes: [name] };
}

/** Without a secret stream, a proxy works until its certificate expires, maybe weeks later. */
function secretStreamProblem(
  { name }: ProxyView,
  { observations, settled, hasSecretStream }: MeshProblemsOptions,
): MeshProblem | undefined {
  const observed = observations.proxy(name);
  if (!observed.online || !settled(name) || hasSecretStream?.(name) !== false) return undefined;
  // A missing certificate and a rejected token are reported elsewhere.
  if (observed.notAfter === undefined || observed.refusal !== undefined) return undefined;
  const until = `its certificate, which ends at ${observed.notAfter.toISOString()}, can't be renewed`;
  return {
    code: "no-secret-stream",
    message: `${name} is not connected to the SDS server: ${until}`,
    dataplanes: [name],
  };
}

/** Rules that currently take effect nowhere in the mesh. */
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
 * The problems of a mesh: explains each outbound and checks each policy. A pair of services takes a millisecond or two,
 * so their number is limited.
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
