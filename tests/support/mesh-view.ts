import type { TrafficPermission } from "../../src/resources/traffic-permission.js";
import type { Stored } from "../../src/store/store.js";
import { versionOf } from "../../src/store/version.js";
import { apply, emptyView, type TouchedMeshes } from "../../src/view/apply.js";
import type { MeshView } from "../../src/view/mesh-view.js";

/** The resources from which tests build the view of mesh `m`. */
export const stored = (type: string, name: string, spec: unknown = {}, version = 1): Stored => ({
  type,
  mesh: "m",
  name,
  spec,
  version: versionOf(version),
});

export const meshRecord = (mtls = true): Stored =>
  stored("Mesh", "m", { mtls: { enabled: mtls, ca: { builtin: {} } } });

export const permission = (name: string, spec: TrafficPermission): Stored => stored("TrafficPermission", name, spec);

type Tags = Readonly<Record<string, string>>;

export interface Networking {
  readonly inbound?: readonly { readonly interface: string; readonly tags: Tags }[];
  readonly outbound?: readonly { readonly interface: string; readonly service: string }[];
  readonly transparentProxying?: { readonly redirectPort: number };
}

export const dataplane = (name: string, networking: Networking): Stored => stored("Dataplane", name, { networking });

/** The view of mesh `m` with these resources. */
export function meshViewOf(...resources: readonly Stored[]): MeshView {
  const touched: TouchedMeshes = new Map();
  const view = apply(emptyView, { kind: "listing", sequence: 1, resources }, touched).get("m");
  if (view === undefined) throw new Error("nothing in it has a say");
  return view;
}
