import { backendsOf, loggedFile } from "../../resources/logging.js";
import { serviceTag, type Tags } from "../../resources/tags.js";
import { trafficLogType } from "../../resources/traffic-log.js";
import type { MeshView } from "../../view/mesh-view.js";
import { tableOf } from "../../view/policies.js";
import { unreachableInbounds } from "../../view/proxy.js";
import { candidates, type Inbounds } from "../matching.js";
import type { Certificate } from "./certificate.js";
import type {
  DestinationExplanation,
  EndpointExplanation,
  RouteExplanation,
  SourceExplanation,
} from "./explanation.js";
import type { Delivered, ProxyObservation } from "./observations.js";
import type { Problem, ProblemCode } from "./problem.js";

const mostNamed = 3;

/** `a, b, c and 4 more`. */
function listed(names: readonly string[]): string {
  const more = names.length - mostNamed;
  return names.slice(0, mostNamed).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

/** `redis with version=1`. */
export function destinationText(destination: Tags): string {
  const others = Object.entries(destination).filter(([key]) => key !== serviceTag);
  const service = `"${destination[serviceTag] ?? ""}"`;
  return others.length === 0
    ? service
    : `${service} with ${others.map(([key, value]) => `${key}=${value}`).join(", ")}`;
}

/** A proxy on one of the two sides. */
interface Side {
  readonly dataplane: string;
  readonly online: boolean;
  readonly certificate?: Certificate;
  readonly down?: true;
  readonly listeners: readonly Delivered[];
}

const listenersIn = (places: readonly { readonly listener?: Delivered }[]) =>
  places.map(({ listener }) => listener).filter((listener) => listener !== undefined);

/** A problem of one proxy, in a form that can be merged for all proxies with the same problem. */
interface Finding {
  readonly code: ProblemCode;
  /** The sentence in two parts, before and after the names. */
  readonly before: string;
  readonly after: string;
}

const finding = (code: ProblemCode, before: string, after: string): Finding => ({ code, before, after });

function ofCertificate(certificate: Certificate): Finding | undefined {
  const { reason } = certificate;
  const why = reason === undefined ? "" : `: ${reason}`;
  switch (certificate.state) {
    case "live":
      if (certificate.outdated === true) {
        return finding(
          "certificate-outdated",
          "the certificate of ",
          ` names other services than the dataplane has now${why}`,
        );
      }
      return reason === undefined ? undefined : finding("certificate-refused", "no new certificate for ", why);
    case "expired":
      return finding("certificate-expired", "the certificate of ", ` expired at ${certificate.notAfter}${why}`);
    case "missing":
      return finding(
        "certificate-missing",
        "there is no certificate for ",
        `${why}; until there is one, it neither opens nor accepts connections`,
      );
  }
}

function ofListener({ state, reason = "", raw }: Delivered): Finding | undefined {
  switch (state) {
    case "refused":
      return finding(state, "Envoy of ", ` refuses its configuration: ${reason.replaceAll(/\s+/g, " ").trim()}`);
    case "absent":
      return finding("no-listener", "a ProxyTemplate removes the listener of ", "");
    default:
      if (raw === true) return finding("raw", "a ProxyTemplate has its own listener for ", ", which is not analyzed");
      if (state !== "pending") return undefined;
      return finding(state, "Envoy of ", " has not acknowledged its current configuration");
  }
}

function ofSide({ online, certificate, down, listeners }: Side): Finding[] {
  if (!online) return [finding("offline", "no kuma-dp is connected for ", "")];
  const all = [
    down === true ? finding("application-down", "the application of ", " does not accept connections") : undefined,
    certificate === undefined ? undefined : ofCertificate(certificate),
    ...listeners.map(ofListener),
  ];
  return all.filter((found) => found !== undefined);
}

/** Merges the problems that several dataplanes have in common. */
function gathered(sides: readonly Side[]): Problem[] {
  const found = new Map<string, Finding & { readonly names: Set<string> }>();
  for (const side of sides) {
    for (const one of ofSide(side)) {
      const key = JSON.stringify(one);
      const entry = found.get(key) ?? { ...one, names: new Set<string>() };
      found.set(key, entry);
      entry.names.add(side.dataplane);
    }
  }
  return [...found.values()].map(({ code, before, after, names }) => {
    const dataplanes = [...names];
    return { code, message: `${before}${listed(dataplanes)}${after}`, dataplanes };
  });
}

function ofRoute({ route, destinations }: RouteExplanation, to: string): Problem[] {
  const name = `TrafficRoute "${route?.name ?? ""}"`;
  if (destinations.length === 0) {
    return [{ code: "nowhere", message: `${name} gives no destination any weight, so that connections are closed` }];
  }
  const others = new Set(destinations.map(({ destination }) => destination[serviceTag] ?? ""));
  others.delete(to);
  return [...others].map((service) => ({
    code: "elsewhere" as const,
    message: `${name} sends connections for "${to}" to "${service}"`,
  }));
}

function ofDestination(mesh: MeshView, { destination, endpoints }: DestinationExplanation): Problem[] {
  const service = destination[serviceTag] ?? "";
  const broken = [...mesh.proxies.values()]
    .filter(({ unusable, inbounds }) => unusable.length > 0 && inbounds.some((inbound) => inbound.service === service))
    .map(({ name, unusable }) => ({
      code: "unusable" as const,
      message: `${name} offers nothing, because ${unusable.join(", ")} can't be read`,
      dataplanes: [name],
    }));
  const unreachable = [...mesh.proxies.values()].flatMap((proxy) => {
    const fields = unreachableInbounds(proxy).flatMap((inbound) =>
      inbound.service === service ? [inbound.field] : [],
    );
    if (fields.length === 0) return [];
    const message =
      `${proxy.name} is left out, because the address in ${fields.join(", ")} is 0.0.0.0: ` +
      "apply it with the IP address at which other dataplanes reach it";
    return [{ code: "unreachable" as const, message, dataplanes: [proxy.name] }];
  });
  const left = [...broken, ...unreachable];
  if (endpoints.length > 0) return left;
  return [{ code: "no-endpoint", message: `no dataplane offers ${destinationText(destination)}` }, ...left];
}

function notPermitted(from: string, denying: Tags, endpoints: readonly EndpointExplanation[]): Problem {
  const denied = endpoints.filter(({ allowed }) => !allowed).map(({ dataplane }) => dataplane);
  const some = denied.length > 0 && denied.length < endpoints.length;
  const where = some ? ` on ${listed(denied)}` : "";
  return {
    code: "not-permitted",
    message: `no TrafficPermission allows "${from}" to connect to ${destinationText(denying)}${where}`,
    ...(denied.length > 0 ? { dataplanes: denied } : {}),
  };
}

interface Logger extends Pick<ProxyObservation, "mayLogTo"> {
  readonly inbounds: Inbounds;
}

export interface ProblemFacts {
  readonly from: string;
  readonly to: string;
  readonly sources: readonly SourceExplanation[];
  readonly routes: readonly RouteExplanation[];
  /** The inputs for the sources' TrafficLogs, by dataplane. */
  readonly loggers: ReadonlyMap<string, Logger>;
  /** Destinations that deny some or all connections. */
  readonly denying: readonly { readonly destination: Tags; readonly endpoints: readonly EndpointExplanation[] }[];
}

function ofSources(mesh: MeshView, { from, to, sources }: ProblemFacts): Problem[] {
  if (sources.length === 0) {
    return [{ code: "no-source", message: `no dataplane of mesh "${mesh.name}" offers "${from}"` }];
  }
  const without = sources.filter(({ outbounds }) => outbounds.length === 0).map(({ dataplane }) => dataplane);
  const message = `${listed(without)} ${without.length > 1 ? "have" : "has"} no outbound to "${to}"`;
  return without.length > 0 ? [{ code: "no-outbound", message, dataplanes: without }] : [];
}

/** Files of TrafficLogs that sources don't allow: connections succeed, but are not logged. */
function ofLogs({ resource: mesh, policies }: MeshView, { to, sources, loggers }: ProblemFacts): Problem[] {
  const silent = new Map<string, string[]>();
  const table = tableOf(policies, trafficLogType);
  for (const { dataplane } of sources) {
    const logger = loggers.get(dataplane);
    if (logger?.mayLogTo === undefined || mesh === undefined) continue;
    for (const backend of backendsOf(candidates(table, logger.inbounds, to), mesh.spec)) {
      const file = loggedFile(backend);
      if (file === undefined || logger.mayLogTo(file)) continue;
      const what = `are not logged by backend "${backend.name ?? ""}": no log file "${file}" is allowed there`;
      silent.set(what, [...(silent.get(what) ?? []), dataplane]);
    }
  }
  return [...silent].map(([what, dataplanes]) => ({
    code: "not-logged",
    message: `connections of ${listed(dataplanes)} ${what} (KUMA_DATAPLANE_LOG_DIRECTORIES)`,
    dataplanes,
  }));
}

const distinct = (problems: readonly Problem[]) => [...new Map(problems.map((one) => [one.message, one])).values()];

/** All problems from the source to the destination, without duplicates. */
export function problemsOf(mesh: MeshView, facts: ProblemFacts): readonly Problem[] {
  const { from, to, routes, denying } = facts;
  const destinations = routes.flatMap((route) => route.destinations);
  const endpoints = destinations.flatMap((destination) => destination.endpoints);
  return distinct([
    ...denying.map(({ destination, endpoints: own }) => notPermitted(from, destination, own)),
    ...ofSources(mesh, facts),
    ...gathered([
      ...facts.sources.map((source) => ({ ...source, listeners: listenersIn(source.outbounds) })),
      ...endpoints.map((endpoint) => ({ ...endpoint, listeners: listenersIn([endpoint]) })),
    ]),
    ...routes.flatMap((route) => ofRoute(route, to)),
    ...destinations.flatMap((destination) => ofDestination(mesh, destination)),
    ...ofLogs(mesh, facts),
  ]);
}
