import * as assert from "uvu/assert";
import type { BundledEnvoy } from "../../../src/cp/checks/bundled-envoy.js";
import { meshCheck } from "../../../src/cp/checks/mesh.js";
import { createSemaphore, type Semaphore } from "../../../src/lib/semaphore.js";
import { suite } from "../../support/suite.js";
import { stage } from "./stage.js";

const test = suite("log formats checked by the API");

const file = { path: "/tmp/a.log" };
const mesh = (...formats: readonly string[]) => ({
  logging: { backends: formats.map((format, index) => ({ name: `b${index}`, format, file })) },
});

test("without an Envoy, an unknown operator is rejected with its position and a suggestion", async () => {
  const api = await stage();
  const answer = await api.put("/meshes/m", { type: "Mesh", name: "m", ...mesh("fine %DURATION%", "took %DURATON%") });
  assert.is(answer.status, 400);
  assert.equal((answer.json as { causes: unknown }).causes, [
    {
      field: "logging.backends[1].format",
      message: 'unknown operator "%DURATON%"; did you mean "%DURATION%"? (at character 6)',
    },
  ]);
  assert.is((await api.get("/meshes/m")).status, 404);
});

/** An Envoy that rejects formats with any of these words. */
function refusing(...words: readonly string[]) {
  let asked = 0;
  const envoy: BundledEnvoy = {
    label: async () => "Envoy 9.9",
    api: async () => undefined,
    async refusal(configuration) {
      asked += 1;
      const text = JSON.stringify(configuration);
      return words.some((word) => text.includes(word)) ? "no, not this" : undefined;
    },
  };
  return { envoy, asked: () => asked };
}

const semaphore = createSemaphore(1, 1);
const check = async (envoy: BundledEnvoy | undefined, spec: object, given: Semaphore = semaphore) =>
  (await meshCheck(envoy, given)(spec)).map(({ field, message }) => `${field}: ${message}`);

test("what Envoy accepts is valid, even if unknown to us; one run is enough", async () => {
  const { envoy, asked } = refusing("NOPE");
  assert.equal(await check(envoy, mesh("%DURATION%", "%OF_TOMORROW%", "%KUMA_SOURCE_SERVICE%")), []);
  assert.is(asked(), 1);
});

test("what Envoy rejects is rejected: with its position if unknown to us, else with Envoy's error", async () => {
  const { envoy } = refusing("NOPE", "CEL");
  assert.equal(await check(envoy, mesh("%DURATION%", "a %NOPE%")), [
    'logging.backends[1].format: unknown operator "%NOPE%" (at character 3)',
  ]);
  assert.equal(await check(envoy, mesh("%CEL(a b)%")), [
    "logging.backends[0].format: Envoy 9.9 refuses it: no, not this",
  ]);
});

test("a mesh without a custom format does not run Envoy", async () => {
  const { envoy, asked } = refusing("question");
  for (const spec of [{}, { logging: {} }, mesh(""), { logging: { backends: [{ name: "b", file }] } }]) {
    assert.equal(await check(envoy, spec), []);
  }
  assert.is(asked(), 0);
});

test("under too much load, and where no Envoy runs, the known operators decide", async () => {
  const { envoy } = refusing();
  const busy: Semaphore = async () => undefined;
  assert.is((await check(envoy, mesh("%NOPE%"), busy)).length, 1);
  assert.equal(await check(envoy, mesh("%DURATION%"), busy), []);
  const broken: BundledEnvoy = { ...envoy, label: async () => undefined };
  assert.is((await check(broken, mesh("%NOPE%"))).length, 1);
});

test.run();
