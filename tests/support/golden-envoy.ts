import fs from "node:fs";
import path from "node:path";
import { connectTimeoutMs, generate } from "../../src/envoy/generate.js";
import { bootstrapRevision, createPlacement } from "../../src/envoy/placement.js";
import { type ConfigJson, configJson } from "./envoy-json.js";
import { goldenRoot } from "./golden.js";
import { readMeshFile } from "./mesh-file.js";
import { meshViewOf } from "./mesh-view.js";

const root = path.join(goldenRoot, "envoy");

/** The cases: each is a folder with the resources of mesh `m` and the configuration of each of its proxies. */
export const goldenCases: readonly string[] = fs.readdirSync(root).sort();

/** A stand-in for the secret server's certificate, which nothing verifies here. */
const certificate = "-----BEGIN CERTIFICATE-----\nof the secret server\n-----END CERTIFICATE-----\n";

/** The configurations of a case, by proxy name, for Envoys whose bootstrap has this revision. */
export function generateCase(name: string, revision = bootstrapRevision): ReadonlyMap<string, ConfigJson> {
  const mesh = meshViewOf(...readMeshFile(fs.readFileSync(path.join(root, name, "resources.yaml"), "utf8")));
  const surroundings = { connectTimeoutMs, secretServer: { target: "localhost:5677", root: certificate } };
  const placement = createPlacement({ tokenPath: "token", bootstrapRevision: revision });
  return new Map(
    [...mesh.proxies.values()].map((proxy) => [
      proxy.name,
      configJson(generate(proxy, mesh, surroundings, placement).config),
    ]),
  );
}

/** The stored configurations of all cases, by case and proxy. */
export function storedConfigs(): ReadonlyMap<string, ConfigJson> {
  const files = goldenCases.flatMap((name) =>
    fs.readdirSync(path.join(root, name)).map((file) => path.join(name, file)),
  );
  const stored = files.filter((file) => file.endsWith(".json"));
  return new Map(stored.map((file) => [file, JSON.parse(fs.readFileSync(path.join(root, file), "utf8"))]));
}
