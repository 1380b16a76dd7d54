import { serviceTag, type Tags } from "../../resources/tags.js";
import { trafficPermissionType } from "../../resources/traffic-permission.js";
import type { Endpoint, MeshView } from "../../view/mesh-view.js";
import { anyService, type PolicyTable, policiesFor, tableOf } from "../../view/policies.js";
import { servicesOf } from "../../view/proxy.js";
import { inboundRows, type PolicyMatch, ruleMatch, ruleOf } from "../dataplane-policies.js";
import { type Grant, grantsOf } from "../permissions.js";
import { type Match, matchesService, matchesTags } from "../selector.js";
import { type Certificate, certificateOf } from "./certificate.js";
import type { EndpointExplanation, PermissionMatch } from "./explanation.js";
import type { Delivered, Observations } from "./observations.js";

/** An instance of a destination, independent of the source. */
interface Instance {
  readonly dataplane: string;
  readonly endpoint: Endpoint;
  readonly online: boolean;
  readonly certificate: Certificate | undefined;
  readonly listener: Delivered | undefined;
  /** The tags of all inbounds behind the listener. */
  readonly tags: readonly Tags[];
  readonly grants: readonly Grant[];
  /** Whether an allowed connection succeeds. */
  readonly working: boolean;
}

/** Results about destinations, cached because several routes may lead to one. */
export interface Destinations {
  /** The instances that have a destination's tags, for clients of these services. */
  endpoints(destination: Tags, services: readonly string[]): EndpointExplanation[];
  /** Whether an instance with exactly these tags would allow the services, for destinations without instances. */
  wouldAllow(destination: Tags, services: readonly string[]): boolean;
  /** The permissions that allow the services, and those that are for other instances of the destination. */
  permissions(destination: Tags, services: readonly string[], from: string): PermissionMatch[];
  /** The inbound policies that take effect on connections from the services to one of the instances. */
  inEffect(table: PolicyTable, destination: Tags, services: readonly string[]): PolicyMatch[];
}

const lets = ({ service }: Grant, services: readonly string[]) => service === anyService || services.includes(service);

/** Whether Envoy has a listener there, possibly an older version. */
export function listens(listener: Delivered | undefined): boolean {
  if (listener === undefined || listener.state === "absent") return false;
  return listener.state !== "refused" || listener.earlier === true;
}

export function destinationsOf(mesh: MeshView, mtls: boolean, observations: Observations): Destinations {
  const { policies } = mesh;
  const permissions = tableOf(policies, trafficPermissionType);
  const facts = { mesh: mesh.resource?.spec ?? {}, mayLogTo: () => true };
  const grants = new Map<string, readonly Grant[]>();
  const instances = new Map<string, readonly Instance[]>();

  function grantsFor(listener: readonly Tags[]): readonly Grant[] {
    const key = JSON.stringify(listener);
    let found = grants.get(key);
    if (found === undefined) {
      found = grantsOf(permissions, listener);
      grants.set(key, found);
    }
    return found;
  }

  function instanceOf(dataplane: string, endpoint: Endpoint): Instance {
    const { address, port } = endpoint;
    const observed = observations.proxy(dataplane);
    const proxy = mesh.proxies.get(dataplane);
    const services = proxy === undefined ? [] : servicesOf(proxy);
    const certificate = mtls ? certificateOf(observed, services, observations.now) : undefined;
    const listener = observed.online ? observations.inbound(dataplane, endpoint) : undefined;
    const shared = proxy?.inbounds.filter((own) => own.address === address && own.port === port) ?? [];
    const tags = shared.map((own) => own.tags);
    return {
      dataplane,
      endpoint,
      online: observed.online,
      certificate,
      listener,
      tags,
      grants: grantsFor(tags),
      working:
        endpoint.down !== true && listens(listener) && (certificate === undefined || certificate.state === "live"),
    };
  }

  function instancesOf(destination: Tags): readonly Instance[] {
    const key = JSON.stringify(destination);
    let found = instances.get(key);
    if (found === undefined) {
      const members = mesh.services.get(destination[serviceTag] ?? "")?.members;
      found = [...(members?.entries() ?? [])]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .flatMap(([dataplane, endpoints]) =>
          endpoints
            .filter(({ tags }) => matchesTags(destination, tags))
            .map((endpoint) => instanceOf(dataplane, endpoint)),
        );
      instances.set(key, found);
    }
    return found;
  }

  /**
   * The permissions of each listener of a destination; without instances, those of a hypothetical one with its tags.
   */
  const listenersOf = (destination: Tags): (readonly Grant[])[] => {
    const found = instancesOf(destination);
    return found.length > 0 ? found.map((instance) => instance.grants) : [grantsFor([destination])];
  };

  return {
    endpoints: (destination, services) =>
      instancesOf(destination).map(({ dataplane, endpoint, online, certificate, listener, grants, working }) => {
        const own = grants.filter((grant) => lets(grant, services));
        const allowed = !mtls || own.length > 0;
        const named = new Map(own.map(({ policy, index }) => [`${policy.name} ${index}`, { policy, index }]));
        return {
          dataplane,
          address: endpoint.address,
          port: endpoint.port,
          tags: endpoint.tags,
          online,
          ...(certificate === undefined ? {} : { certificate }),
          ...(listener === undefined ? {} : { listener }),
          ...(endpoint.down === true ? { down: endpoint.down } : {}),
          allowed,
          permissions: [...named.values()].map((match) => ({ name: match.policy.name, ...ruleOf(permissions, match) })),
          connects: allowed && working,
        };
      }),
    inEffect: (table, destination, services) =>
      instancesOf(destination).flatMap(({ tags }) =>
        inboundRows(table, tags, facts).filter(({ applies, source }) => applies && names(source, services)),
      ),
    wouldAllow: (destination, services) => grantsFor([destination]).some((grant) => lets(grant, services)),
    permissions(destination, services, from) {
      /** A selector belongs to one rule, so the two selectors of a grant identify its rule. */
      const found = new Map<Tags, Map<Match, Grant>>();
      for (const grant of listenersOf(destination).flat()) {
        if (!lets(grant, services)) continue;
        const { source, destination: of } = grant;
        found.set(source, (found.get(source) ?? new Map<Match, Grant>()).set(of, grant));
      }
      if (found.size === 0) return nearMisses(mesh, destination, services);
      return [...found.values()].flatMap((grants) =>
        [...grants.values()].map((grant) => {
          const as = grant.service === anyService || grant.service === from ? {} : { as: grant.service };
          return { ...ruleMatch(permissions, grant, facts), ...as };
        }),
      );
    },
  };
}

/** Whether a source selector matches one of the services. */
function names(match: Match, services: readonly string[]): boolean {
  const named = match !== undefined && Object.hasOwn(match, serviceTag) ? match[serviceTag] : undefined;
  return named !== undefined && (named === anyService || services.includes(named));
}

/** The rules that would allow the services if the destination had other tags. */
function nearMisses({ policies }: MeshView, destination: Tags, services: readonly string[]): PolicyMatch[] {
  const service = destination[serviceTag] ?? "";
  const table = tableOf(policies, trafficPermissionType);
  return policiesFor(table, service).flatMap((policy) =>
    table.type.policy.rules(policy.spec).flatMap(({ sources = [], destinations = [] }, index) => {
      const source = sources.find(({ match }) => names(match, services));
      const other = destinations.find(({ match }) => matchesService(match, service));
      if (source === undefined || other === undefined) return [];
      const how = { applies: false, reason: "other-tags" } as const;
      return [
        {
          name: policy.name,
          ...ruleOf(table, { policy, index }),
          source: source.match ?? {},
          destination: other.match ?? {},
          ...how,
        },
      ];
    }),
  );
}
