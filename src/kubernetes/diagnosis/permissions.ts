import type { KubeClient } from "../../kubeapi/client.js";
import type { Registry } from "../../resources/registry.js";
import { objectIn } from "../fields.js";
import { clusterRules, namespaceRules, type Rule } from "../manifests/rbac.js";

/** One permission, as an access review names it. */
export interface Permission {
  readonly group: string;
  readonly resource: string;
  readonly subresource?: string;
  readonly verb: string;
  /** Of one object; all objects without it. */
  readonly name?: string;
  /** Without one: in all namespaces. */
  readonly namespace?: string;
}

/** How many reviews are asked for at a time. */
const atOnce = 4;
const reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

function permissionsIn({ apiGroups, resources, resourceNames, verbs }: Rule, namespace?: string): Permission[] {
  const place = namespace === undefined ? {} : { namespace };
  const named = resourceNames === undefined ? [{}] : resourceNames.map((name) => ({ name }));
  return apiGroups.flatMap((group) =>
    resources.flatMap((path) => {
      const [resource = "", subresource] = path.split("/");
      const part = subresource === undefined ? {} : { subresource };
      return verbs.flatMap((verb) => named.map((one) => ({ group, resource, ...part, verb, ...one, ...place })));
    }),
  );
}

/** The permissions that the printed roles give to the control plane. */
export const neededPermissions = (registry: Registry, systemNamespace: string): readonly Permission[] => [
  ...clusterRules(registry).flatMap((rule) => permissionsIn(rule)),
  ...namespaceRules.flatMap((rule) => permissionsIn(rule, systemNamespace)),
];

/** For people: `update validatingwebhookconfigurations.admissionregistration.k8s.io "kuma-…"`. */
export function permissionText({ group, resource, subresource, verb, name, namespace }: Permission): string {
  const whole = group === "" ? resource : `${resource}.${group}`;
  const part = subresource === undefined ? "" : `/${subresource}`;
  const place = namespace === undefined ? "" : ` in namespace ${namespace}`;
  return `${verb} ${whole}${part}${name === undefined ? "" : ` "${name}"`}${place}`;
}

/**
 * Asks the API server which of these permissions the client lacks, by SelfSubjectAccessReviews, which every user may
 * create.
 * @throws KubeError
 */
export async function missingPermissions(
  client: Pick<KubeClient, "request">,
  permissions: readonly Permission[],
  signal: AbortSignal,
): Promise<readonly Permission[]> {
  const missing = new Set<Permission>();
  const waiting = permissions.values();

  async function ask(): Promise<void> {
    for (const permission of waiting) {
      const answer = await client.request(
        "POST",
        reviews,
        {
          apiVersion: "authorization.k8s.io/v1",
          kind: "SelfSubjectAccessReview",
          spec: { resourceAttributes: permission },
        },
        signal,
      );
      if (objectIn(objectIn(answer).status).allowed !== true) missing.add(permission);
    }
  }

  await Promise.all(Array.from({ length: atOnce }, ask));
  return permissions.filter((permission) => missing.has(permission));
}
