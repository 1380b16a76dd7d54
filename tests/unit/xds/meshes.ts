import { connectTimeoutMs, type Generated, type GeneratorOptions, generate } from "../../../src/envoy/generate.js";
import type { Stored } from "../../../src/store/store.js";
import { versionOf } from "../../../src/store/version.js";
import { apply, emptyView, type TouchedMeshes } from "../../../src/view/apply.js";
import type { View } from "../../../src/view/mesh-view.js";

export interface DataplaneSketch {
  readonly name: string;
  readonly inbound: readonly { readonly interface: string; readonly tags: Record<string, string> }[];
  readonly outbound?: readonly { readonly interface: string; readonly service: string }[];
}

export const meshRecord = (name = "default"): Stored => ({
  type: "Mesh",
  mesh: name,
  name,
  spec: {},
  version: versionOf(1),
});

export function dataplaneRecord({ name, inbound, outbound = [] }: DataplaneSketch, version = 1): Stored {
  return {
    type: "Dataplane",
    mesh: "default",
    name,
    spec: { networking: { inbound, outbound } },
    version: versionOf(version),
  };
}

/** The view of mesh `default` with these Dataplanes. */
export function viewOf(sketches: readonly DataplaneSketch[]): View {
  const touched: TouchedMeshes = new Map();
  const resources = [meshRecord(), ...sketches.map((sketch) => dataplaneRecord(sketch))];
  return apply(emptyView, { kind: "listing", sequence: 1, resources }, touched);
}

/** The generated configuration of one of them. */
export function generated(view: View, name: string, options: Partial<GeneratorOptions> = {}): Generated {
  const mesh = view.get("default");
  const proxy = mesh?.proxies.get(name);
  if (mesh === undefined || proxy === undefined) throw new Error(`there is no dataplane ${name}`);
  return generate(proxy, mesh, { connectTimeoutMs, secretServer: undefined, ...options });
}

export const redis: DataplaneSketch = {
  name: "redis-1",
  inbound: [{ interface: "127.0.0.1:9000:6379", tags: { service: "redis" } }],
};

export const backend: DataplaneSketch = {
  name: "backend-1",
  inbound: [{ interface: "127.0.0.1:8000:80", tags: { service: "backend" } }],
  outbound: [{ interface: ":10000", service: "redis" }],
};
