import * as assert from "uvu/assert";
import { createSiteGuard } from "../../../src/net/cross-site.js";
import { allowedOrigins } from "../../../src/net/origins.js";
import { dataplaneType } from "../../../src/resources/dataplane.js";
import { registry } from "../../../src/resources/registry.js";
import { createMemoryStore } from "../../../src/store/memory.js";
import { type Store, StoreError } from "../../../src/store/store.js";
import { versionOf } from "../../../src/store/version.js";
import { suite } from "../../support/suite.js";
import { dataplane, fields, stage, words } from "./stage.js";

const test = suite("the HTTP API rejects");

const invalid = "Resource is not valid";

test("a body that contradicts the URL, with all mismatches at once", async () => {
  const api = await stage();
  const answer = await api.put("/meshes/default/dataplanes/a", { ...dataplane("b", "other"), type: "Mesh" });
  assert.is(answer.status, 400);
  assert.equal(words(answer), ["Could not process a resource", invalid]);
  assert.equal(fields(answer), ["name", "type", "mesh"]);
  assert.equal(fields(await api.put("/meshes/Bad$/dataplanes/Bad$", dataplane("Bad$", "Bad$"))), ["name", "mesh"]);
  assert.equal(fields(await api.put("/meshes/Bad$", { type: "Mesh", name: "Bad$" })), ["name", "mesh"]);
  assert.equal(fields(await api.put("/meshes/default/dataplanes/a", {})), ["name", "type", "mesh"]);
});

test("an unknown field, with its path and a suggestion", async () => {
  const api = await stage();
  const answer = await api.put("/meshes/m", { type: "Mesh", name: "m", loging: {} });
  assert.is(answer.status, 400);
  assert.equal((answer.json as { causes: unknown }).causes, [
    { field: "loging", message: 'unknown field; did you mean "logging"?' },
  ]);
});

test("an invalid spec, and keeps the stored one", async () => {
  const api = await stage();
  const path = "/meshes/default/dataplanes/a";
  const created = await api.put(path, { ...dataplane("a"), networking: {} });
  assert.equal(words(created), ["Could not create a resource", invalid]);
  assert.equal(fields(created), ["networking.inbound"]);
  await api.put(path, dataplane("a"));
  const { networking } = dataplane("a");
  const updated = await api.put(path, {
    ...dataplane("a"),
    networking: { ...networking, outbound: [{ interface: "x", service: "" }] },
  });
  assert.equal(words(updated), ["Could not update a resource", invalid]);
  assert.equal(fields(updated), ["networking.outbound[0].interface", "networking.outbound[0].service"]);
  assert.equal((await api.get(path)).json, dataplane("a"));
});

test("a resource of a mesh that does not exist", async () => {
  const api = await stage();
  const answer = await api.put("/meshes/ghost/dataplanes/a", dataplane("a", "ghost"));
  assert.is(answer.status, 400);
  assert.equal(answer.json, {
    title: "Could not create a resource",
    details: "Mesh is not found",
    causes: [{ field: "mesh", message: "mesh of name ghost is not found" }],
  });
});

test("bodies that are not JSON objects, with the reason", async () => {
  const api = await stage();
  const bodies = ['{"type":', "", "[]", "null", "1", '"text"', Buffer.from([0x7b, 0xff, 0x7d]), "{".repeat(50_000)];
  for (const body of bodies) {
    const answer = await api.call("PUT", "/meshes/default/dataplanes/a", body);
    assert.is(answer.status, 400, String(body).slice(0, 20));
    assert.is(words(answer)[0], "Could not process a resource");
  }
});

test("a field of the wrong type, by its path", async () => {
  const api = await stage();
  const answer = await api.put("/meshes/default/dataplanes/a", { ...dataplane("a"), networking: { inbound: [7] } });
  assert.is(answer.status, 400);
  assert.equal(fields(answer), ["networking.inbound[0]"]);
  assert.match(String(words(answer)[1]), /expected an object, got the number 7/);
});

test("requests for missing resources", async () => {
  const api = await stage();
  const missing = await api.get("/meshes/default/dataplanes/nope");
  assert.equal(missing.json, { title: "Could not retrieve a resource", details: "Not found" });
  const overview = await api.get("/meshes/default/dataplanes+insights/nope");
  assert.equal(overview.json, { title: "Could not retrieve a dataplane overview", details: "Not found" });
  const deleted = await api.delete("/meshes/default/dataplanes/nope");
  assert.equal(deleted.json, { title: "Could not delete a resource", details: "Not found" });
  assert.equal([missing.status, overview.status, deleted.status], [404, 404, 404]);
});

test("unknown paths, with the nearest one", async () => {
  const api = await stage();
  const paths = ["/mesh", "/meshes/default/dataplane", "/meshes//dataplanes", "/meshes/a/dataplanes/b/c", "/%zz", "x"];
  for (const path of [...paths, "/meshes/default/secrets", "/catalogue/x", "/toString", "/meshes/m/constructor"]) {
    assert.is((await api.get(path)).status, 404, path);
  }
  assert.match((await api.get("/mesh")).text, /did you mean \\"\/meshes\\"/);
  assert.match((await api.get("/meshes/m/dataplnes/x")).text, /did you mean \\"\/meshes\/m\/dataplanes\/x\\"/);
});

test("methods that a path does not have, and lists the allowed ones", async () => {
  const api = await stage();
  const allowed = async (method: string, path: string) => {
    const answer = await api.call(method, path, {});
    assert.is(answer.status, 405, `${method} ${path}`);
    return answer.headers.Allow;
  };
  assert.is(await allowed("PUT", "/meshes"), "GET, HEAD");
  assert.is(await allowed("POST", "/meshes/m"), "GET, HEAD, PUT, DELETE");
  assert.is(await allowed("PATCH", "/meshes/m/dataplanes/a"), "GET, HEAD, PUT, DELETE");
  assert.is(await allowed("OPTIONS", "/meshes/m"), "GET, HEAD, PUT, DELETE");
  for (const method of ["PUT", "DELETE"]) {
    for (const path of ["dataplane-insights/a", "dataplanes+insights/a"]) {
      assert.is(await allowed(method, `/meshes/default/${path}`), "GET, HEAD");
    }
  }
});

test("writes in read-only mode, and nothing else", async () => {
  const api = await stage({ readOnly: true });
  assert.is((await api.put("/meshes/m", { type: "Mesh", name: "m" })).status, 405);
  assert.is((await api.put("/meshes/m?dry-run=true", { type: "Mesh", name: "m" })).status, 405);
  assert.is((await api.delete("/meshes/default")).status, 405);
  assert.is((await api.get("/meshes/default")).status, 200);
});

test("bodies with another media type than JSON, and clients that accept only others", async () => {
  const api = await stage();
  const send = async (headers: Record<string, string>) =>
    (await api.call("PUT", "/meshes/m", { type: "Mesh", name: "m" }, headers)).status;
  assert.is(await send({ "content-type": "application/x-www-form-urlencoded" }), 415);
  assert.is(await send({ "content-type": "application/json", "content-encoding": "gzip" }), 415);
  assert.is(await send({ accept: "text/html" }), 406);
  assert.is(await send({ accept: "application/json;q=0, */*" }), 406);
  assert.is((await api.get("/meshes/m")).status, 404);
  assert.is(await send({}), 201);
  assert.is(await send({ "content-type": "Application/JSON; charset=utf-8", accept: "text/html, */*;q=0.1" }), 200);
});

test("cross-site writes from browsers", async () => {
  const guard = createSiteGuard({
    allowed: await allowedOrigins(["http://ui.example", "https://.*\\.ok\\.example"], "SETTING"),
    advertisedHostname: "cp",
  });
  const api = await stage({ guard });
  const send = async (headers: Record<string, string>) => {
    const answer = await api.call(
      "PUT",
      "/meshes/m",
      { type: "Mesh", name: "m" },
      { host: "localhost:5681", ...headers },
    );
    return answer.status === 201 ? 200 : answer.status;
  };
  assert.is(await send({ origin: "http://evil.example" }), 403);
  assert.is(await send({ origin: "null" }), 403);
  assert.is(await send({ "sec-fetch-site": "cross-site" }), 403);
  assert.is(await send({ "sec-fetch-mode": "cors", host: "rebound.example" }), 403);
  assert.is(await send({ origin: "https://a.ok.example.evil.example" }), 403);
  assert.is(await send({ host: "cp.internal:5681" }), 200);
  assert.is(await send({ origin: "http://localhost:5681", "sec-fetch-site": "same-origin" }), 200);
  assert.is(await send({ origin: "http://[::1]:5681", host: "[::1]:5681" }), 200);
  assert.is(await send({ origin: "http://ui.example", "sec-fetch-site": "cross-site" }), 200);
  assert.is(await send({ origin: "https://a.ok.example", "sec-fetch-site": "cross-site", host: "CP:5681" }), 200);
});

test("to let other origins read anything, unless they are allowed", async () => {
  const guard = createSiteGuard({
    allowed: await allowedOrigins(["http://ui.example"], "SETTING"),
    advertisedHostname: "cp",
  });
  const api = await stage({ guard });
  const foreign = await api.call("GET", "/meshes", undefined, { origin: "http://evil.example" });
  assert.equal([foreign.status, foreign.headers["Access-Control-Allow-Origin"]], [200, undefined]);
  const known = await api.call("GET", "/meshes", undefined, { origin: "http://ui.example" });
  assert.is(known.headers["Access-Control-Allow-Origin"], "http://ui.example");
  const preflight = await api.call("OPTIONS", "/meshes/m", undefined, { origin: "http://ui.example" });
  assert.is(preflight.status, 200);
  assert.match(preflight.headers["Access-Control-Allow-Methods"] ?? "", /PUT/);
});

/** A memory store with one operation replaced. */
function storeWith(replaced: Partial<Store>): Store {
  return { ...createMemoryStore(registry), ...replaced };
}

test("the second of two writes based on the same version", async () => {
  const store = createMemoryStore(registry);
  const api = await stage({ store: { ...store, update: (resource) => store.update(resource, versionOf(0)) } });
  await api.put("/meshes/default/dataplanes/a", dataplane("a"));
  const answer = await api.put("/meshes/default/dataplanes/a", dataplane("a", "default", "late"));
  assert.is(answer.status, 409);
  assert.equal(answer.json, { title: "Could not update a resource", details: "Conflict" });
});

test("a resource whose mesh is deleted during the write, and leaves nothing behind", async () => {
  const store = createMemoryStore(registry);
  const api = await stage({
    store: {
      ...store,
      async create(resource) {
        if (resource.type === "Dataplane") await store.deleteMesh("default");
        return store.create(resource);
      },
    },
  });
  const answer = await api.put("/meshes/default/dataplanes/a", dataplane("a"));
  assert.is(answer.status, 400);
  assert.equal(await store.list(dataplaneType), []);
});

test("writes while the store is unavailable, with a Retry-After", async () => {
  const gone = async (): Promise<never> => {
    throw new StoreError("unavailable", { type: "Dataplane", mesh: "default", name: "a" });
  };
  const api = await stage();
  const away = await stage({ store: { ...api.store, create: gone, delete: gone } });
  const put = await away.put("/meshes/default/dataplanes/a", dataplane("a"));
  assert.is(put.status, 503);
  assert.equal(put.json, { title: "Could not create a resource", details: "Store is not available" });
  assert.ok(Number(put.headers["Retry-After"]) > 0);
  assert.is((await away.delete("/meshes/default/dataplanes/a")).status, 503);
});

test("to expose internal errors", async () => {
  const broken = async (): Promise<never> => {
    throw new Error("password=hunter2 at line 3");
  };
  const api = await stage();
  const failing = await stage({ store: { ...api.store, list: broken, create: broken, delete: broken } });
  const answers = [
    await failing.get("/meshes"),
    await failing.get("/meshes/default/dataplanes+insights"),
    await failing.put("/meshes/default/dataplanes/a", dataplane("a")),
    await failing.delete("/meshes/default/dataplanes/a"),
  ];
  assert.equal(
    answers.map(({ status }) => status),
    [500, 500, 500, 500],
  );
  assert.equal(
    answers.map((answer) => words(answer)[0]),
    [
      "Could not retrieve resources",
      "Could not retrieve dataplane overviews",
      "Could not create a resource",
      "Could not delete a resource",
    ],
  );
  for (const answer of answers) assert.not.match(answer.text, /hunter2/);
  assert.is(failing.logged.length, 4);
});

test("a PUT whose lookup fails", async () => {
  const failing = storeWith({});
  const api = await stage({ store: failing });
  failing.get = async () => {
    throw new Error("no");
  };
  assert.equal(words(await api.put("/meshes/m", { type: "Mesh", name: "m" })), [
    "Could not find a resource",
    "Internal Server Error",
  ]);
});

test.run();
