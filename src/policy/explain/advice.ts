import { toJson } from "../../resources/envelope.js";
import { rulesOf } from "../../resources/rules.js";
import { serviceTag, type Tags } from "../../resources/tags.js";
import { type TrafficPermission, trafficPermissionType } from "../../resources/traffic-permission.js";
import type { MeshView } from "../../view/mesh-view.js";
import { tableOf } from "../../view/policies.js";
import type { Advice, PermissionMatch } from "./explanation.js";

const longestName = 100;

/** A name that no permission of the mesh has. */
function freeName({ policies }: MeshView, wanted: string): string {
  const { byName } = tableOf(policies, trafficPermissionType);
  const name = wanted.toLowerCase().replaceAll(/[^0-9a-z_-]/g, "-");
  const numbered = (number: number): string => {
    const end = number === 1 ? "" : `-${number}`;
    const candidate = name.slice(0, longestName - end.length) + end;
    return byName.has(candidate) ? numbered(number + 1) : candidate;
  };
  return numbered(1);
}

function missing(mesh: MeshView, from: string, to: string): Advice {
  const { name: type } = trafficPermissionType;
  const match = (service: string) => [{ match: { [serviceTag]: service } }];
  const spec: TrafficPermission = { rules: [{ sources: match(from), destinations: match(to) }] };
  const name = freeName(mesh, `${from}-to-${to}`);
  return { effect: "allow", apply: toJson({ type, mesh: mesh.name, name, spec }) };
}

const isJust = (match: Tags | undefined, service: string) =>
  match !== undefined && Object.keys(match).length === 1 && match[serviceTag] === service;

/** Whether a permission only allows connections from one service to another. */
function concernsOnly(spec: TrafficPermission, from: string, to: string): boolean {
  return rulesOf(spec).every(
    ({ sources = [], destinations = [] }) =>
      sources.every(({ match }) => isJust(match, from)) && destinations.every(({ match }) => isJust(match, to)),
  );
}

function enforcing({ name, resource: mesh }: MeshView): Advice {
  const { mtls, ...others } = mesh?.spec ?? {};
  const spec = { mtls: { enabled: true, ca: mtls?.ca ?? { builtin: {} } }, ...others };
  return { effect: "enforce", apply: toJson({ type: "Mesh", mesh: name, name, spec }) };
}

export interface AdviceFacts {
  readonly mtls: boolean;
  readonly from: string;
  /** The destination services that deny some connections. */
  readonly denying: readonly string[];
  readonly to: readonly string[];
  readonly permissions: readonly PermissionMatch[];
}

/**
 * The resources to apply, delete or narrow to allow denied traffic, deny allowed traffic, or enforce permissions at
 * all.
 */
export function adviceFor(mesh: MeshView, { mtls, from, denying, to, permissions }: AdviceFacts): readonly Advice[] {
  const allowing = denying.map((service) => missing(mesh, from, service));
  if (!mtls) return [...allowing, enforcing(mesh)];
  const names = new Set(permissions.filter(({ applies }) => applies).map(({ name }) => name));
  const denials = [...names].map((name): Advice => {
    const spec = tableOf(mesh.policies, trafficPermissionType).byName.get(name)?.spec ?? {};
    const permission = { type: trafficPermissionType.name, mesh: mesh.name, name };
    const alone = to.some((service) => concernsOnly(spec, from, service));
    return { effect: "deny", ...(alone ? { delete: permission } : { narrow: permission }) };
  });
  return [...allowing, ...denials];
}
