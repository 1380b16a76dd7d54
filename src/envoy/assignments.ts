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
          // It stays in the list: clients without a HealthCheck use it when too few others are left.
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

/** Encoded assignments by endpoint list and cluster name. The lists are immutable, so the encodings stay valid. */
const encoded = new WeakMap<readonly Endpoint[], Map<string, EnvoyResource>>();

const nobody: readonly Endpoint[] = Object.freeze([]);

/**
 * The ClusterLoadAssignment of a cluster: the service's endpoints whose tags match, or all of them without `tags`.
 * Without endpoints it is empty, which Envoy accepts. A cluster's name contains its tags, so it is a sufficient cache
 * key.
 */
export function assignment(
  clusterName: string,
  endpoints: readonly Endpoint[] = nobody,
  tags: Tags | undefined = undefined,
): EnvoyResource {
  let ofList = encoded.get(endpoints);
  if (ofList === undefined) {
    ofList = new Map();
    // Names for the shared empty list also come from clients; a table of those would grow without bound.
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

/** Selects a cluster's endpoints: those of a service that have all these tags. */
export interface AssignmentSource {
  readonly service: string;
  readonly tags: Tags;
}

/** The sources of a configuration's assignments, by cluster name. */
export type AssignmentSources = ReadonlyMap<string, AssignmentSource>;

/**
 * Updates a configuration after a change of only the endpoints of these services, or of any without `services`: all but
 * the assignments of their clusters is reused. Returns the same object when no assignment changed.
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
    // A raw resource of a template overrides the generated one.
    if (present === resource || present?.raw === true) continue;
    eds ??= new Map(config.eds);
    eds.set(name, resource);
  }
  return eds === undefined ? config : { ...config, eds };
}
