import { mtlsEnabled } from "../../resources/mesh.js";
import { explainedField, type PolicyFacts } from "../../resources/policy-type.js";
import { serviceTag, type Tags } from "../../resources/tags.js";
import { trafficRouteType } from "../../resources/traffic-route.js";
import type { MeshView, ProxyView } from "../../view/mesh-view.js";
import { type PolicyTable, tableOf } from "../../view/policies.js";
import { servicesOf } from "../../view/proxy.js";
import { contestOf, outboundRows, type PolicyMatch } from "../dataplane-policies.js";
import { candidates, type Inbounds, type Share, sharesOf } from "../matching.js";
import { adviceFor } from "./advice.js";
import { certificateOf } from "./certificate.js";
import { type Destinations, destinationsOf, listens } from "./destinations.js";
import type {
  DestinationExplanation,
  EndpointExplanation,
  OutboundExplanation,
  PermissionMatch,
  RouteExplanation,
  SourceExplanation,
  TrafficExplanation,
  Verdict,
} from "./explanation.js";
import type { Observations } from "./observations.js";
import { combineOutcomes } from "./outcome.js";
import { problemsOf } from "./problems.js";
import { proxiesWith } from "./proxies-by-service.js";

/** Sources that share services, route and policies. */
interface Group {
  readonly sources: ProxyView[];
  readonly services: readonly string[];
  readonly inbounds: Inbounds;
  readonly shares: readonly Share[];
  readonly others: ReturnType<typeof otherPolicies>;
}

/** The policy tables of these levels that have a sentence for `explain`. */
function explainedTables({ policies }: MeshView, ...levels: readonly PolicyTable["type"]["policy"]["level"][]) {
  return Object.values(policies).filter(({ type: { policy } }) => policy.sentence && levels.includes(policy.level));
}

/** The names of the policies that take effect, by their field in the explanation. */
function named(tables: readonly PolicyTable[], rowsOf: (table: PolicyTable) => readonly PolicyMatch[]) {
  const fields: Record<string, string> = {};
  for (const table of tables) {
    const names = new Set(rowsOf(table).flatMap(({ applies, name }) => (applies ? [name] : [])));
    if (names.size > 0) fields[explainedField(table.type)] = [...names].join(", ");
  }
  return fields;
}

/** The policies other than the route, for the connections to the service and to each destination. */
function otherPolicies(mesh: MeshView, inbounds: Inbounds, to: string, shares: readonly Share[]) {
  const facts: PolicyFacts = { mesh: mesh.resource?.spec ?? {}, mayLogTo: () => true };
  const about = (service: string) => (table: PolicyTable) => outboundRows(table, inbounds, service, facts);
  const tables = explainedTables(mesh, "destination");
  return {
    outbound: named(explainedTables(mesh, "outbound"), about(to)),
    destinations: shares.map(({ destination }) => named(tables, about(destination[serviceTag] ?? ""))),
  };
}

/** Groups dataplanes with the same services and policies: usually all instances of a service. */
function groupsOf(mesh: MeshView, sources: readonly ProxyView[], from: string, to: string): Group[] {
  const wayOf = (inbounds: Inbounds) => {
    const shares = sharesOf(mesh.policies, inbounds, to);
    return { inbounds, shares, others: otherPolicies(mesh, inbounds, to, shares) };
  };
  if (sources.length === 0) return [{ sources: [], services: [from], ...wayOf([{ tags: { [serviceTag]: from } }]) }];
  const groups = new Map<string, Group>();
  for (const proxy of sources) {
    const services = servicesOf(proxy);
    const way = wayOf(proxy.inbounds);
    const [route] = candidates(tableOf(mesh.policies, trafficRouteType), proxy.inbounds, to);
    const key = JSON.stringify([services, route?.policy.name, route?.source, way.others]);
    const known = groups.get(key);
    if (known === undefined) groups.set(key, { sources: [proxy], services, ...way });
    else known.sources.push(proxy);
  }
  return [...groups.values()];
}

function verdictOf(allowed: readonly boolean[]): Verdict {
  if (allowed.every((one) => one)) return "allowed";
  return allowed.some((one) => one) ? "partial" : "denied";
}

interface Facts {
  readonly mesh: MeshView;
  readonly to: string;
  readonly mtls: boolean;
  readonly observations: Observations;
  readonly destinations: Destinations;
}

function routeOf({ mesh, to, destinations }: Facts, group: Group): RouteExplanation {
  const { sources, services, inbounds, shares } = group;
  const [route] = contestOf(candidates(tableOf(mesh.policies, trafficRouteType), inbounds, to));
  const inboundTables = explainedTables(mesh, "inbound");
  const explained = shares.map(({ weight, destination }, index): DestinationExplanation => {
    const endpoints = destinations.endpoints(destination, services);
    return {
      weight,
      destination,
      ...group.others.destinations[index],
      ...named(inboundTables, (table) => destinations.inEffect(table, destination, services)),
      endpoints,
      connects: combineOutcomes(endpoints.map(({ connects }) => (connects ? "always" : "never"))),
    };
  });
  return {
    sources: sources.map(({ name }) => name),
    services,
    ...(route === undefined ? {} : { route }),
    ...group.others.outbound,
    destinations: explained,
    connects: combineOutcomes(explained.map(({ connects }) => connects)),
  };
}

function sourceOf({ to, mtls, observations }: Facts, proxy: ProxyView, route: RouteExplanation): SourceExplanation {
  const observed = observations.proxy(proxy.name);
  const certificate = mtls ? certificateOf(observed, servicesOf(proxy), observations.now) : undefined;
  const destinations = route.destinations.map(({ destination }) => destination);
  const outbounds = proxy.outbounds
    .filter(({ service }) => service === to)
    .map(({ address, port }): OutboundExplanation => {
      const place = { address, port };
      return observed.online ? { ...place, listener: observations.outbound(proxy.name, place, destinations) } : place;
    });
  const works = observed.online && (certificate === undefined || certificate.state === "live");
  const ways = outbounds.map(({ listener }) => (listens(listener) ? route.connects : "never"));
  return {
    dataplane: proxy.name,
    online: observed.online,
    ...(certificate === undefined ? {} : { certificate }),
    outbounds,
    connects: works ? combineOutcomes(ways) : "never",
  };
}

/** A destination, and whether each of its instances (or a hypothetical one) allows the sources. */
interface DestinationVerdict {
  readonly destination: Tags;
  readonly endpoints: readonly EndpointExplanation[];
  readonly services: readonly string[];
  readonly granted: readonly boolean[];
}

/** Every destination of the routes; for a route without destinations, the requested service. */
function destinationVerdicts({ to, destinations }: Facts, routes: readonly RouteExplanation[]): DestinationVerdict[] {
  return routes.flatMap(({ services, destinations: own }) => {
    const ends = own.length > 0 ? own : [{ destination: { [serviceTag]: to } as Tags, endpoints: [] }];
    return ends.map(({ destination, endpoints }) => ({
      destination,
      endpoints,
      services,
      granted:
        endpoints.length > 0
          ? endpoints.map(({ permissions }) => permissions.length > 0)
          : [destinations.wouldAllow(destination, services)],
    }));
  });
}

/** Removes duplicate rules; a rule that allows something is not repeated for what it does not allow. */
function distinct(matches: readonly PermissionMatch[]): PermissionMatch[] {
  const found = new Map<string, PermissionMatch>();
  for (const match of matches) {
    const key = JSON.stringify([match.name, match.rule, match.source, match.destination]);
    const known = found.get(key);
    if (known === undefined || known.reason === "other-tags") found.set(key, match);
  }
  return [...found.values()];
}

/**
 * Explains whether and how connections get from one service of a mesh to another. It uses the functions that generate
 * configurations, with the mesh's current resources and the known state of its proxies.
 */
export function explainTraffic(
  mesh: MeshView,
  { from, to }: { readonly from: string; readonly to: string },
  observations: Observations,
): TrafficExplanation {
  const mtls = mtlsEnabled(mesh.resource?.spec);
  const facts: Facts = { mesh, to, mtls, observations, destinations: destinationsOf(mesh, mtls, observations) };
  const proxies = proxiesWith(mesh, from);
  const groups = groupsOf(mesh, proxies, from, to);
  const routes = groups.map((group) => routeOf(facts, group));
  const sources = groups
    .flatMap((group, index) => {
      const route = routes[index];
      return route === undefined ? [] : group.sources.map((proxy) => sourceOf(facts, proxy, route));
    })
    .sort((a, b) => (a.dataplane < b.dataplane ? -1 : 1));

  const loggers = new Map(
    proxies.map(({ name, inbounds }) => [name, { inbounds, mayLogTo: observations.proxy(name).mayLogTo }]),
  );
  const verdicts = destinationVerdicts(facts, routes);
  const granted = verdictOf(verdicts.flatMap((one) => one.granted));
  const denied = verdicts.filter((one) => one.granted.includes(false));
  const permissions = distinct(
    verdicts.flatMap(({ destination, services }) => facts.destinations.permissions(destination, services, from)),
  );
  const targets = (some: readonly DestinationVerdict[]) => [
    ...new Set(some.map(({ destination }) => destination[serviceTag] ?? "")),
  ];
  return {
    mesh: mesh.name,
    from,
    to,
    mtls,
    verdict: mtls ? granted : "allowed",
    ...(mtls ? {} : { withMtls: granted }),
    connects: combineOutcomes(sources.map(({ connects }) => connects)),
    permissions,
    problems: problemsOf(mesh, { from, to, sources, routes, loggers, denying: mtls ? denied : [] }),
    sources,
    routes,
    advice: adviceFor(mesh, { mtls, from, denying: targets(denied), to: targets(verdicts), permissions }),
  };
}
