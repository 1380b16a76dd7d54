import * as assert from "uvu/assert";
import type { BundledEnvoy } from "../../../src/cp/checks/bundled-envoy.js";
import { templateCheck } from "../../../src/cp/checks/proxy-template.js";
import { builtInApi, createEnvoyApi, type EnvoyApi } from "../../../src/envoy/raw/api.js";
import { createSemaphore } from "../../../src/lib/semaphore.js";
import { suite } from "../../support/suite.js";
import { fields, stage, words } from "./stage.js";

const test = suite("raw resources checked by the API");

const cluster = (more: object) =>
  JSON.stringify({ "@type": "type.googleapis.com/envoy.api.v2.Cluster", name: "c", ...more });

const template = (...resources: readonly string[]) => ({
  type: "ProxyTemplate",
  mesh: "default",
  name: "t",
  resources: resources.map((resource) => ({ name: "r", version: "v", resource })),
});

const path = "/meshes/default/proxytemplates/t";

test("errors are reported with their paths, in either layout, and nothing is stored", async () => {
  const api = await stage();
  const { resources, ...rest } = template(cluster({}), cluster({ lodAssignment: {} }), cluster({ type: 1.5 }));
  for (const [prefix, body] of [
    ["", { ...rest, resources }],
    ["conf.", { ...rest, conf: { resources } }],
  ] as const) {
    const answer = await api.put(path, body);
    assert.is(answer.status, 400);
    assert.equal(words(answer), ["Could not create a resource", "Resource is not valid"]);
    assert.equal((answer.json as { causes: unknown }).causes, [
      {
        field: `${prefix}resources[1].resource`,
        message:
          'native Envoy resource is not valid: lodAssignment: unknown field; did you mean "loadAssignment"? (checked against the API of Envoy 1.31)',
      },
      {
        field: `${prefix}resources[2].resource`,
        message: "native Envoy resource is not valid: type: expected a name in upper case, got the number 1.5",
      },
    ]);
    assert.is((await api.get(path)).status, 404);
  }
});

test("a dry run reports the same", async () => {
  const api = await stage();
  const answer = await api.put(`${path}?dry-run=true`, template(cluster({ a: 1 })));
  assert.equal(fields(answer), ["resources[0].resource"]);
  assert.is((await api.put(`${path}?dry-run=true`, template(cluster({})))).status, 201);
});

test("a template is returned as it was written", async () => {
  const api = await stage();
  const text = "# mine\n'@type': type.googleapis.com/envoy.api.v2.Cluster\nname:   c\n";
  assert.is((await api.put(path, template(text))).status, 201);
  assert.equal((await api.get(path)).json, template(text));
});

/** An Envoy with made-up answers; it has our API under a newer version. */
function envoyOf(answers: { api?: EnvoyApi | undefined; refusal?: string | undefined }) {
  const asked: string[] = [];
  const envoy: BundledEnvoy = {
    async label() {
      return answers.api?.label;
    },
    async api() {
      return answers.api;
    },
    async refusal(configuration) {
      asked.push(JSON.stringify(configuration));
      return answers.refusal;
    },
  };
  return { envoy, asked };
}

const newer = (): EnvoyApi => ({ ...builtInApi(), label: "Envoy 9.9" });
const semaphore = createSemaphore(1, 1);
const check = async (envoy: BundledEnvoy | undefined, text: string, given = semaphore) =>
  (await templateCheck(envoy, given, () => undefined)({ resources: [{ resource: text }] })).map(
    ({ message }) => message,
  );

test("what only a newer Envoy could allow is checked by the one beside us", async () => {
  const { envoy, asked } = envoyOf({ api: newer() });
  assert.equal(await check(envoy, cluster({ ofTomorrow: 1 })), [
    "native Envoy resource is not valid: ofTomorrow: unknown field of envoy.config.cluster.v3.Cluster (checked against the API of Envoy 9.9)",
  ]);
  assert.equal(asked, []);
});

test("what its API does not know either is not checked by Envoy itself", async () => {
  const { envoy } = envoyOf({
    api: createEnvoyApi("Envoy 0", { $typeName: "google.protobuf.FileDescriptorSet", file: [] }),
  });
  const messages = await check(envoy, cluster({ ofTomorrow: 1 }));
  assert.match(messages[0] ?? "", "is no resource that Envoy is sent");
});

test("what is invalid in every version is rejected without Envoy", async () => {
  const { envoy, asked } = envoyOf({ api: newer() });
  const messages = await check(envoy, cluster({ ofTomorrow: 1, connectTimeout: 5 }));
  assert.is(messages.length, 2);
  assert.match(messages[0] ?? "", /unknown field.*Envoy 1\.31/);
  assert.equal(asked, []);
});

test("without an Envoy, or with one whose API can't be read, our API decides", async () => {
  for (const envoy of [undefined, envoyOf({}).envoy]) {
    const [message] = await check(envoy, cluster({ ofTomorrow: 1 }));
    assert.match(message ?? "", /Envoy 1\.31/);
  }
});

test("under too much load, our API decides", async () => {
  const { envoy } = envoyOf({ api: newer() });
  const [message] = await check(envoy, cluster({ ofTomorrow: 1 }), async () => undefined);
  assert.match(message ?? "", /Envoy 1\.31/);
});

test.run();
