import { dataplaneType } from "./dataplane.js";
import { dataplaneHealthType } from "./dataplane-health.js";
import { dataplaneInsightType } from "./dataplane-insight.js";
import { dataplaneOverviewType } from "./dataplane-overview.js";
import { healthCheckType } from "./health-check.js";
import { meshType } from "./mesh.js";
import { isPolicyType, type PolicyType } from "./policy-type.js";
import { proxyTemplateType } from "./proxy-template.js";
import type { ResourceType } from "./resource.js";
import { secretType } from "./secret.js";
import { trafficLogType } from "./traffic-log.js";
import { trafficPermissionType } from "./traffic-permission.js";
import { trafficRouteType } from "./traffic-route.js";

export interface Registry {
  readonly types: readonly ResourceType[];
  /** The types that are policies. */
  readonly policies: readonly PolicyType[];
  byName(name: string): ResourceType | undefined;
  /** Finds a type by its singular, plural or an alias. */
  byCliWord(word: string): ResourceType | undefined;
}

function index(types: readonly ResourceType[], words: (type: ResourceType) => readonly string[]) {
  const known = new Map<string, ResourceType>();
  for (const type of types) {
    for (const word of words(type)) {
      const other = known.get(word);
      if (other !== undefined) throw new Error(`"${word}" names both ${other.name} and ${type.name}`);
      known.set(word, type);
    }
  }
  return (word: string) => known.get(word);
}

export function createRegistry(types: readonly ResourceType[]): Registry {
  // Throws for two types with one path.
  index(types, ({ access, path, pathAliases }) => (access === "internal" ? [] : [path, ...pathAliases]));
  return {
    types,
    policies: types.filter(isPolicyType),
    byName: index(types, ({ name }) => [name]),
    byCliWord: index(types, ({ cli }) => (cli === undefined ? [] : [cli.singular, cli.plural, ...cli.aliases])),
  };
}

/** Every policy. Each has its effect on Envoy in `envoy/effects`. */
export const policyTypes = [
  proxyTemplateType,
  trafficPermissionType,
  trafficLogType,
  trafficRouteType,
  healthCheckType,
] as const;

/** Every resource type, in the order in which kumactl lists them. */
export const registry: Registry = createRegistry([
  meshType,
  dataplaneType,
  dataplaneInsightType,
  dataplaneHealthType,
  dataplaneOverviewType,
  ...policyTypes,
  secretType,
]);
