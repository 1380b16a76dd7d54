import { create } from "@bufbuild/protobuf";
import { HealthStatus } from "../../proto-gen/es/envoy/config/core/v3/health_check_pb.js";
import {
  type ClusterLoadAssignment,
  ClusterLoadAssignmentSchema,
} from "../../proto-gen/es/envoy/config/endpoint/v3/endpoint_pb.js";
import { matchesTags } from "../policy/selector.js";
import type { Tags } from "../resources/tags.js";
import type { Endpoint, MeshView } from "../view/mesh-view.js";
import { socketAddress } from "./address.js";
import { type EnvoyResource, encode, type ProxyConfig } from "./resource.js";

const byCode = (a: string, b: string) => (a < b ? -1 : 1);

function message(clusterName: string, endpoints: readonly Endpoint[]): ClusterLoadAssignment {
  if (endpoints.length === 0) return create(ClusterLoadAssignmentSchema, { clusterName });
  return create(ClusterLoadAssignmentSchema, {
    clusterName,
    endpoints: [
      {
        lbEndpoints: endpoints.map(({ address, port, tags, down }) => ({
          hostIdentifier: { case: "endpoint" as const, value: { address: socketAddress(address, port) } },
          // It stays in the list: whoever has no HealthCheck uses it when too few others are left.
          ...(down === true ? { healthStatus: HealthStatus.UNHEALTHY } : {}),
          metadata: {
            filterMetadata: {
              "envoy.lb": Object.fromEntries(Object.entries(tags).sort(([a], [b]) => byCode(a, b))),
            },
          },
        })),
      },
    ],
  });
}

/** Assignments of one endpoint list by cluster name: the list is immutable, so its encodings are too. */
const encoded = new WeakMap<readonly Endpoint[], Map<string, EnvoyResource>>();

const nobody: readonly Endpoint[] = Object.freeze([]);

/**
 * The ClusterLoadAssignment of a cluster: those of the service's endpoints whose tags match, all without `tags`. Without
 * endpoints it is empty, which Envoy takes as an answer. A cluster's name says which tags it asks for.
 */
export function assignment(
  clusterName: string,
  endpoints: readonly Endpoint[] = nobody,
  tags: Tags | undefined = undefined,
): EnvoyResource {
  let ofList = encoded.get(endpoints);
  if (ofList === undefined) {
    ofList = new Map();
    // Names under the shared empty list come from clients too; a table of those would grow for ever.
    if (endpoints !== nobody) encoded.set(endpoints, ofList);
  }
  let resource = ofList.get(clusterName);
  if (resource === undefined) {
    const chosen = tags === undefined ? endpoints : endpoints.filter((endpoint) => matchesTags(tags, endpoint.tags));
    resource = encode(ClusterLoadAssignmentSchema, clusterName, message(clusterName, chosen));
    ofList.set(clusterName, resource);
  }
  return resource;
}

/** Whose endpoints a cluster has: those of a service that have all these tags. */
export interface AssignmentSource {
  readonly service: string;
  readonly tags: Tags;
}

/** The sources of a configuration's assignments, by the names of their clusters. */
export type AssignmentSources = ReadonlyMap<string, AssignmentSource>;

/**
 * A configuration after endpoints of these services, or of any, changed and nothing else did: what was made for the one
 * before is still right, but for the assignments of their clusters. The same object when they did not change.
 */
export function reassigned(
  config: ProxyConfig,
  sources: AssignmentSources,
  mesh: MeshView,
  services?: ReadonlySet<string>,
): ProxyConfig {
  let eds: Map<string, EnvoyResource> | undefined;
  for (const [name, { service, tags }] of sources) {
    if (services?.has(service) === false) continue;
    const present = config.eds.get(name);
    const resource = assignment(name, mesh.services.get(service)?.endpoints, tags);
    // A template's own resource of the name stands in the place of ours.
    if (present === resource || present?.raw === true) continue;
    eds ??= new Map(config.eds);
    eds.set(name, resource);
  }
  return eds === undefined ? config : { ...config, eds };
}
