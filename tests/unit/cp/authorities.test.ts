import * as assert from "uvu/assert";
import type { RotationApi } from "../../../src/cp/api/endpoint.js";
import { ensureDefaultMesh } from "../../../src/cp/default-mesh.js";
import type { AuthorityStatus } from "../../../src/cp/rotations.js";
import { meshType } from "../../../src/resources/mesh.js";
import { registry } from "../../../src/resources/registry.js";
import { secretType } from "../../../src/resources/secret.js";
import { createMemoryStore } from "../../../src/store/memory.js";
import { type Key, type Store, StoreError } from "../../../src/store/store.js";
import { authorityOptions } from "../../support/authorities.js";
import { suite } from "../../support/suite.js";
import { stage, words } from "./stage.js";

const test = suite("certificate authorities over the HTTP API");

const active: AuthorityStatus = { mesh: "m", state: "active", roots: [] };
const distributing: AuthorityStatus = { mesh: "m", state: "distributing", roots: [], waitingFor: ["p"] };
const unusable: AuthorityStatus = { mesh: "m", state: "unusable", reason: "it is no JSON", roots: [] };
const rotatePath = "/meshes/m/certificate-authority/rotate";

const rotations = (rotate: RotationApi["rotate"]): RotationApi => ({
  status: async (mesh) => (mesh === "m" ? active : undefined),
  list: async () => [active, unusable],
  rotate,
});
const never: RotationApi["rotate"] = () => {
  throw new Error("nobody should have asked");
};

const outcomes: readonly (readonly [title: string, rotate: RotationApi["rotate"], status: number, body: unknown])[] = [
  ["that begins", async () => ({ begun: true, status: distributing }), 202, distributing],
  ["while one is under way", async () => ({ begun: false, status: distributing }), 200, distributing],
  [
    "of a mesh that doesn't exist",
    async () => undefined,
    404,
    { title: "Could not rotate a certificate authority", details: "Not found" },
  ],
  [
    "of an authority that can't be used",
    async () => ({ begun: false, status: unusable }),
    409,
    { title: "Could not rotate a certificate authority", details: "it is no JSON" },
  ],
  ...(["conflict", "not-found"] as const).map(
    (kind) =>
      [
        `while somebody else writes it (${kind})`,
        () => Promise.reject(new StoreError(kind, { type: "Secret", mesh: "m", name: "x" })),
        409,
        { title: "Could not rotate a certificate authority", details: "Conflict" },
      ] as const,
  ),
  [
    "while the store is away",
    () => Promise.reject(new StoreError("unavailable", { type: "Secret", mesh: "m", name: "x" })),
    503,
    { title: "Could not rotate a certificate authority", details: "Store is not available" },
  ],
  [
    "that hits a bug",
    () => Promise.reject(new Error("internals")),
    500,
    { title: "Could not rotate a certificate authority", details: "Internal Server Error" },
  ],
];

for (const [title, rotate, status, body] of outcomes) {
  test(`a rotation ${title} is answered ${status}`, async () => {
    const api = await stage({ rotations: rotations(rotate) });
    const answer = await api.call("POST", rotatePath);
    assert.equal([answer.status, answer.json], [status, body]);
  });
}

test("a rotation applies to the mesh in the path, decoded, whatever the body says", async () => {
  const asked: string[] = [];
  const api = await stage({
    rotations: rotations(async (mesh) => {
      asked.push(mesh);
      return undefined;
    }),
  });
  for (const path of [rotatePath, `${rotatePath}/`, "/meshes/a%2Fb/certificate-authority/rotate"]) {
    await api.call("POST", path, "{not json", { "content-type": "text/plain" });
  }
  assert.equal(asked, ["m", "m", "a/b"]);
});

test("a rotation is rejected like writes: in read-only mode, cross-site, and for clients that don't accept JSON", async () => {
  const api = await stage({ rotations: rotations(never) });
  const refusals: readonly (readonly [headers: Record<string, string>, status: number])[] = [
    [{ host: "localhost:5681", origin: "http://evil.example" }, 403],
    [{ host: "localhost:5681", "sec-fetch-site": "cross-site" }, 403],
    [{ host: "rebound.example", "sec-fetch-mode": "cors" }, 403],
    [{ accept: "text/html" }, 406],
  ];
  for (const [headers, status] of refusals) {
    assert.is((await api.call("POST", rotatePath, undefined, headers)).status, status, JSON.stringify(headers));
  }
  const readOnly = await stage({ rotations: rotations(never), readOnly: true });
  const refused = await readOnly.call("POST", rotatePath);
  assert.equal([refused.status, refused.headers.Allow], [405, ""]);
  assert.is((await readOnly.get("/certificate-authorities")).status, 200);
});

test("authorities can be read, alone and as a list, and nothing else", async () => {
  const api = await stage({ rotations: rotations(never) });
  for (const path of ["/certificate-authorities", "/certificate-authorities/"]) {
    assert.equal((await api.get(path)).json, { items: [active, unusable] });
  }
  assert.equal((await api.get("/meshes/m/certificate-authority")).json, active);
  assert.is((await api.call("HEAD", "/meshes/m/certificate-authority")).status, 200);
  const missing = await api.get("/meshes/n/certificate-authority");
  assert.equal([missing.status, words(missing)], [404, ["Could not retrieve a certificate authority", "Not found"]]);
  for (const [path, allowed] of [
    ["/certificate-authorities", "GET, HEAD"],
    ["/meshes/m/certificate-authority", "GET, HEAD"],
    [rotatePath, "POST"],
  ] as const) {
    for (const method of ["GET", "PUT", "POST", "DELETE"].filter((one) => !allowed.includes(one))) {
      const answer = await api.call(method, path, {});
      assert.equal([answer.status, answer.headers.Allow], [405, allowed], `${method} ${path}`);
    }
  }
});

test("authorities can't be read while the store is unavailable, and the response says so", async () => {
  const away = () => Promise.reject(new StoreError("unavailable", { type: "DataplaneInsight", mesh: "m", name: "" }));
  const api = await stage({ rotations: { status: away, list: away, rotate: never } });
  for (const path of ["/certificate-authorities", "/meshes/m/certificate-authority"]) {
    const answer = await api.get(path);
    assert.equal([answer.status, words(answer)[1]], [503, "Store is not available"], path);
  }
});

test("typos in their paths get suggestions", async () => {
  const api = await stage({ rotations: rotations(never) });
  for (const [path, meant] of [
    ["/certificate-authority", "/certificate-authorities"],
    ["/meshes/m/certificate-authorities", "/meshes/m/certificate-authority"],
    ["/meshes/m/certificate-authorty/rotate", rotatePath],
  ] as const) {
    const answer = await api.get(path);
    assert.is(answer.status, 404);
    assert.match(answer.text, `did you mean \\"${meant}\\"`);
  }
  for (const path of [`${rotatePath}/x`, "/meshes/m/certificate-authority/x", "/certificate-authorities/m"]) {
    assert.is((await api.call("POST", path)).status, 404, path);
  }
});

const mesh = { type: "Mesh", name: "m" };
const secretKey = { type: "Secret", mesh: "m", name: "builtinca.m" };

/** A memory store with custom creation of some resources. */
function withCreate(type: string, create: (inner: Store, key: Key) => Promise<unknown>): Store {
  const inner = createMemoryStore(registry);
  return {
    ...inner,
    async create(resource) {
      if (resource.type === type && resource.mesh === "m") await create(inner, resource);
      return inner.create(resource);
    },
  };
}

const unavailable = (_inner: Store, key: Key) => Promise.reject(new StoreError("unavailable", key));

test("a mesh is created with its authority, which exists first", async () => {
  const api = await stage();
  const abort = new AbortController();
  const changes = api.store.changes(abort.signal)[Symbol.asyncIterator]();
  await changes.next();
  assert.is((await api.put("/meshes/m", mesh)).status, 201);
  const order: string[] = [];
  for (let index = 0; index < 2; index++) {
    const { value } = await changes.next();
    order.push(value?.kind === "put" ? value.resource.type : value?.kind);
  }
  abort.abort();
  assert.equal(order, ["Secret", "Mesh"]);
});

test("writing a mesh again keeps its authority, recreating it creates another, a dry run creates none", async () => {
  const api = await stage();
  assert.is((await api.put("/meshes/m?dry-run=true", mesh)).status, 201);
  assert.is(await api.store.get(secretKey), undefined);
  await api.put("/meshes/m", mesh);
  const made = await api.store.get(secretKey);
  assert.is((await api.put("/meshes/m", { ...mesh, mtls: { enabled: true } })).status, 200);
  assert.is(await api.store.get(secretKey), made);
  await api.delete("/meshes/m");
  await api.put("/meshes/m", mesh);
  const again = await api.store.get(secretKey);
  assert.ok(again !== undefined);
  assert.is.not(JSON.stringify(again.spec), JSON.stringify(made?.spec));
});

test("a mesh that can't be stored leaves no authority behind", async () => {
  const api = await stage({ store: withCreate("Mesh", unavailable) });
  assert.is((await api.put("/meshes/m", mesh)).status, 503);
  assert.is(await api.store.get(secretKey), undefined);
});

test("a mesh whose authority can't be stored is not created", async () => {
  const api = await stage({ store: withCreate("Secret", unavailable) });
  assert.is((await api.put("/meshes/m", mesh)).status, 503);
  assert.is(await api.store.get({ type: "Mesh", mesh: "m", name: "m" }), undefined);
});

test("the loser of a race for a mesh leaves the authority to the winner", async () => {
  const store = withCreate("Mesh", (inner, { type, name }) => inner.create({ type, mesh: "m", name, spec: {} }));
  const api = await stage({ store });
  assert.is((await api.put("/meshes/m", mesh)).status, 409);
  assert.ok((await api.store.get(secretKey)) !== undefined);
});

test("an authority that existed before is kept if the mesh can't be stored", async () => {
  const store = withCreate("Mesh", unavailable);
  await store.create({ ...secretKey, spec: { value: "eA==" } });
  const api = await stage({ store });
  assert.is((await api.put("/meshes/m", mesh)).status, 503);
  assert.equal((await api.store.get(secretKey))?.spec, { value: "eA==" });
});

test("a mesh has its authority even if another, failed creation deleted it meanwhile", async () => {
  let attempts = 0;
  const taken: { back?: () => void } = {};
  const takenBack = new Promise<void>((resolve) => {
    taken.back = resolve;
  });
  const store = withCreate("Mesh", async (_inner, key) => {
    attempts += 1;
    if (attempts === 2) await takenBack;
    else throw new StoreError("unavailable", key);
  });
  const api = await stage({ store });
  const first = api.put("/meshes/m", mesh);
  const second = api.put("/meshes/m", mesh);
  assert.is((await first).status, 503);
  taken.back?.();
  assert.is((await second).status, 201);
  assert.ok((await api.store.get(secretKey)) !== undefined);
});

test("the default mesh has its authority too, created by any instance", async () => {
  const store = createMemoryStore(registry);
  const { authorities } = authorityOptions(store);
  await Promise.all([1, 2, 3].map(() => ensureDefaultMesh(store, { mtls: { enabled: true } }, authorities)));
  const [stored] = await store.list(meshType);
  assert.equal(stored?.spec, { mtls: { enabled: true } });
  const secrets = await store.list(secretType, "default");
  assert.equal(
    secrets.map(({ name, version }) => [name, version]),
    [["builtinca.default", 1]],
  );
  await ensureDefaultMesh(store, {}, authorities);
  assert.is((await store.list(meshType))[0], stored);
});

test.run();
