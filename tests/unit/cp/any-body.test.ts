import { isDeepStrictEqual } from "node:util";
import * as assert from "uvu/assert";
import { apiHandler } from "../../../src/cp/api/handler.js";
import { specChecks } from "../../../src/cp/checks/spec-checks.js";
import { createSiteGuard } from "../../../src/net/cross-site.js";
import { startHttpServer } from "../../../src/net/http-server.js";
import { fromJson, toJson } from "../../../src/resources/envelope.js";
import { registry } from "../../../src/resources/registry.js";
import type { ResourceType } from "../../../src/resources/resource.js";
import { createMemoryStore } from "../../../src/store/memory.js";
import { authorityOptions } from "../../support/authorities.js";
import { damaged, mutatedJson } from "../../support/mutation.js";
import { runSeed, seeded } from "../../support/random.js";
import { suite } from "../../support/suite.js";
import { examples } from "../resources/examples.js";
import { type Stage, silent, stage } from "./stage.js";

const test = suite("random bodies for the HTTP API");

interface Case {
  readonly type: ResourceType;
  readonly path: string;
  readonly body: string | Buffer;
}

const writable = examples.flatMap((example) => {
  const type = registry.byName(String(example.type));
  return type?.access === "full" ? [{ type, example }] : [];
});

/** Cases of one run, with names from a small set, so that creations, updates and deletions collide. */
function cases(seed: number, count: number): Case[] {
  const random = seeded(seed);
  return Array.from({ length: count }, () => {
    const { type, example } = random.pick(writable);
    const name = random.pick(["a", "b", "c"]);
    const path = type.scope === "global" ? `/${type.path}/${name}` : `/meshes/default/${type.path}/${name}`;
    const named = { ...example, name, ...(type.scope === "global" ? {} : { mesh: "default" }) };
    const text = mutatedJson(named, random);
    return { type, path, body: random.chance(0.05) ? damaged(text, random) : text };
  });
}

/** The expected resource, if the body is accepted. */
function expected({ type, path, body }: Case): unknown {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const { spec } = fromJson(type, JSON.parse(body.toString()), "strict");
  const mesh = type.scope === "global" ? name : "default";
  return JSON.parse(JSON.stringify(toJson({ type: type.name, mesh, name, spec: type.defaults(spec) })));
}

const known = new Set([200, 201, 400]);

async function tried(api: Pick<Stage, "get" | "put" | "call">, one: Case): Promise<boolean> {
  const before = await api.get(one.path);
  const answer = await api.call("PUT", one.path, one.body, { "content-type": "application/json" });
  const after = await api.get(one.path);
  const place = `seed ${runSeed}, PUT ${one.path} ${one.body} → ${answer.status} ${answer.text}`;
  assert.ok(known.has(answer.status), place);
  if (answer.status === 400) {
    assert.ok(typeof (answer.json as { title?: unknown }).title === "string", place);
    assert.equal([after.status, after.text], [before.status, before.text], place);
    return false;
  }
  assert.is(answer.status, before.status === 404 ? 201 : 200, place);
  // uvu's own comparison reads a key named constructor as the object's class.
  assert.ok(isDeepStrictEqual(after.json, expected(one)), `${place}\nreads back ${after.text}`);
  const again = await api.call("PUT", one.path, after.text);
  assert.equal([again.status, (await api.get(one.path)).text], [200, after.text], place);
  return true;
}

test("20,000 bodies in process: accepted ones read back equal, refused ones change nothing, none is a 5xx", async () => {
  const api = await stage();
  const random = seeded(runSeed + 1);
  let accepted = 0;
  for (const one of cases(runSeed, 20_000)) {
    if (await tried(api, one)) accepted += 1;
    if (random.chance(0.1)) await api.delete(one.path);
  }
  assert.equal(
    api.logged.filter((line) => !line.includes("\tWARN\t")),
    [],
    `seed ${runSeed}`,
  );
  // Otherwise the test would prove little.
  assert.ok(accepted > 2_000, `only ${accepted} were accepted, seed ${runSeed}`);
});

test("500 bodies over a socket", async () => {
  const store = createMemoryStore(registry);
  await store.create({ type: "Mesh", mesh: "default", name: "default", spec: {} });
  const server = await startHttpServer({
    layers: [],
    port: 0,
    host: "127.0.0.1",
    setting: "TEST_PORT",
    logger: silent,
    handler: apiHandler({
      registry,
      checks: specChecks(() => undefined),
      store,
      guard: createSiteGuard({ allowed: () => false, advertisedHostname: "localhost" }),
      logger: silent,
      version: "0.3.0",
      readOnly: false,
      catalogue: {},
      config: {},
      ...authorityOptions(store),
    }),
  });
  const call: Stage["call"] = async (method, path, body) => {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`, {
      method,
      headers: { "content-type": "application/json" },
      ...(body === undefined ? {} : { body: body instanceof Buffer ? new Uint8Array(body) : String(body) }),
    });
    const text = await response.text();
    const json: unknown = text === "" ? undefined : JSON.parse(text);
    return { status: response.status, headers: Object.fromEntries(response.headers), text, json };
  };
  try {
    for (const one of cases(runSeed + 2, 500)) {
      await tried({ call, get: (path) => call("GET", path), put: (path, body) => call("PUT", path, body) }, one);
    }
  } finally {
    await server.close();
  }
});

console.log(`seed ${runSeed} (TEST_SEED repeats it)`);
test.run();
