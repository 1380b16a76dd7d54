import * as assert from "uvu/assert";
import { connectTimeoutMs, generate } from "../../src/envoy/generate.js";
import { bootstrapRevision, createPlacement } from "../../src/envoy/placement.js";
import { type ConfigJson, configJson } from "../support/envoy-json.js";
import { openValidator } from "../support/envoy-validation.js";
import { admittedOf } from "../support/mesh-file.js";
import { meshRecord, meshViewOf } from "../support/mesh-view.js";
import { runSeed, seeded } from "../support/random.js";
import { randomMesh } from "../support/random-mesh.js";
import { suite } from "../support/suite.js";

const test = suite("whatever users write is rejected by us or accepted by Envoy", { needs: "envoy" });

const validator = openValidator();
test.after(() => validator.close());

const meshes = 300;

test(`${meshes} meshes of TEST_SEED=${runSeed}, as their proxies are told`, async () => {
  const surroundings = { connectTimeoutMs, secretServer: { target: "localhost:5677", root: "a certificate" } };
  const configs = new Map<string, ConfigJson>();
  const seen = { admitted: 0, refused: 0 };
  for (let number = 0; number < meshes; number++) {
    const random = seeded(runSeed + number);
    const documents = randomMesh(random, number);
    const resources = admittedOf(documents);
    seen.admitted += resources.length;
    seen.refused += documents.length - resources.length;
    const mesh = meshViewOf(meshRecord(false), ...resources);
    const tokenPath = random.chance(0.5) ? "token" : undefined;
    for (const proxy of mesh.proxies.values()) {
      const { config } = generate(proxy, mesh, surroundings, createPlacement({ tokenPath, bootstrapRevision }));
      configs.set(`mesh ${number}, proxy ${proxy.name}`, configJson(config));
    }
  }
  assert.equal([...(await validator.objections(configs))], []);
  console.log(
    `${configs.size} proxies of ${seen.admitted} resources (${seen.refused} refused), ${validator.runs} runs`,
  );
  assert.ok(seen.refused > meshes / 4 && configs.size > meshes / 2, "the resources are neither all good nor all bad");
});

test.run();
