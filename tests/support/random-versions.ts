import { connectTimeoutMs, generate } from "../../src/envoy/generate.js";
import { createPlacement } from "../../src/envoy/placement.js";
import { kinds } from "../../src/envoy/resource.js";
import { admittedOf } from "./mesh-file.js";
import { meshRecord, meshViewOf } from "./mesh-view.js";
import { seeded } from "./random.js";
import { randomMesh } from "./random-mesh.js";

const servers = ["a", "b"].map((name) => ({
  target: "localhost:5677",
  root: `certificate ${name}`,
  byHost: { port: 5677, verifiedName: "localhost" },
}));

/** The configuration of a random mesh's proxies: `proxy kind name version` of each resource. */
export function versionsOf(seed: number): string[] {
  const random = seeded(seed);
  // All meshes have the same services and addresses, so that their resources differ only slightly.
  const mesh = meshViewOf(meshRecord(false), ...admittedOf(randomMesh(random, 1)));
  const tokenPath = random.pick([undefined, "token", "other"]);
  const controlPlaneHost = random.pick([undefined, "10.0.0.1", "fd00::1"]);
  const surroundings = { connectTimeoutMs, secretServer: random.pick(servers) };
  const bootstrapRevision = tokenPath === "token" ? 1 : 0;
  return [...mesh.proxies.values()].flatMap((proxy) => {
    const placement = createPlacement({ tokenPath, controlPlaneHost, bootstrapRevision });
    const { config } = generate(proxy, mesh, surroundings, placement);
    return kinds.flatMap((kind) =>
      [...config[kind].values()].map(({ name, version }) => `${proxy.name} ${kind} ${name} ${version}`),
    );
  });
}
