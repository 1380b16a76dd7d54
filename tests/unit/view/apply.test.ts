import * as assert from "uvu/assert";
import type { Change, Key, Stored } from "../../../src/store/store.js";
import { versionOf } from "../../../src/store/version.js";
import { apply, emptyView, type TouchedMeshes } from "../../../src/view/apply.js";
import type { Endpoint, MeshView, View } from "../../../src/view/mesh-view.js";
import { seeded } from "../../support/random.js";
import { suite } from "../../support/suite.js";

const test = suite("changes of resources in the view of their mesh");

interface Sketch {
  /** Interface and tags; a text is the service. */
  readonly inbound?: readonly (readonly [address: string, tags: string | Record<string, string>])[];
  readonly outbound?: readonly (readonly [address: string, service: string])[];
  readonly mesh?: string;
  readonly redirectPort?: number;
}

function dataplane(name: string, { inbound = [], outbound = [], mesh = "m", redirectPort }: Sketch = {}): Stored {
  const networking = {
    inbound: inbound.map(([address, tags]) => ({
      interface: address,
      tags: typeof tags === "string" ? { service: tags } : tags,
    })),
    outbound: outbound.map(([address, service]) => ({ interface: address, service })),
    ...(redirectPort === undefined ? {} : { transparentProxying: { redirectPort } }),
  };
  return { type: "Dataplane", mesh, name, spec: { networking }, version: versionOf(1) };
}

const mesh = (name = "m", spec: object = {}): Stored => ({
  type: "Mesh",
  mesh: name,
  name,
  spec,
  version: versionOf(1),
});

const listing = (...resources: Stored[]): Change => ({ kind: "listing", sequence: 1, resources });
const put = (resource: Stored): Change => ({ kind: "put", sequence: 2, resource });
const gone = (type: string, name: string, inMesh = "m"): Change => {
  const key: Key = { type, mesh: inMesh, name };
  return { kind: "delete", sequence: 3, key };
};

/** The view after the changes and what they touched, one text per mesh: `m: mesh proxies=a endpoints=x,y`. */
function after(view: View, ...changes: Change[]): { readonly view: View; readonly touched: string[] } {
  const touched: TouchedMeshes = new Map();
  const next = changes.reduce((before, change) => apply(before, change, touched), view);
  const texts = [...touched].map(([name, { mesh: own, everyone, ...sets }]) => {
    const lists = (["proxies", "endpoints", "upstreams"] as const).map((what) => `${what}=${[...sets[what]].sort()}`);
    const parts = [own ? "mesh" : "", everyone ? "everyone" : "", ...lists];
    return [`${name}:`, ...parts.filter((part) => part !== "" && !part.endsWith("="))].join(" ");
  });
  // An empty entry has no effect.
  return { view: next, touched: texts.filter((text) => !text.endsWith(":")).sort() };
}

function meshOf(view: View, name = "m"): MeshView {
  const found = view.get(name);
  if (found === undefined) throw new Error(`there is no mesh ${name}`);
  return found;
}

const endpoint = ({ address, port, tags }: Endpoint) => `${address}:${port} ${Object.values(tags).join()}`;
const endpoints = (view: View, service: string, name = "m") =>
  meshOf(view, name).services.get(service)?.endpoints.map(endpoint);

const web = dataplane("web-1", { inbound: [["10.0.0.1:80:81", "web"]], outbound: [[":5000", "db"]] });
const db = dataplane("db-1", { inbound: [["10.0.0.2:90:91", "db"]] });
const both = dataplane("both-1", {
  inbound: [
    ["10.0.0.3:80:81", "web"],
    ["10.0.0.3:90:91", "db"],
  ],
});
const { view: base } = after(emptyView, listing(mesh(), web, db, both));

const table: readonly (readonly [title: string, changes: readonly Change[], touched: readonly string[]])[] = [
  ["a new mesh", [put(mesh("n"))], ["n: mesh"]],
  ["a changed mesh", [put(mesh("m", { mtls: { enabled: true } }))], ["m: mesh"]],
  ["a deleted mesh", [gone("Mesh", "m")], ["m: mesh"]],
  [
    "a new dataplane with a new service",
    [put(dataplane("x", { inbound: [["10.0.0.9:1:2", "x"]] }))],
    ["m: proxies=x endpoints=x"],
  ],
  [
    "another instance of a service",
    [put(dataplane("web-2", { inbound: [["10.0.0.4:80:81", "web"]] }))],
    ["m: proxies=web-2 endpoints=web"],
  ],
  ["a dataplane without inbounds", [put(dataplane("c", { outbound: [[":1", "db"]] }))], ["m: proxies=c"]],
  ["a dataplane that is written again unchanged", [put(web)], ["m: proxies=web-1"]],
  [
    "an additional outbound",
    [
      put(
        dataplane("web-1", {
          inbound: [["10.0.0.1:80:81", "web"]],
          outbound: [
            [":5000", "db"],
            [":5001", "x"],
          ],
        }),
      ),
    ],
    ["m: proxies=web-1"],
  ],
  [
    "the port of the application",
    [put(dataplane("web-1", { inbound: [["10.0.0.1:80:99", "web"]] }))],
    ["m: proxies=web-1"],
  ],
  [
    "the same tags in another order",
    [
      put(dataplane("t", { inbound: [["10.0.0.9:1:2", { service: "t", a: "1", b: "2" }]] })),
      put(dataplane("t", { inbound: [["10.0.0.9:1:2", { b: "2", a: "1", service: "t" }]] })),
    ],
    ["m: proxies=t endpoints=t"],
  ],
  [
    "a changed address",
    [put(dataplane("web-1", { inbound: [["10.0.0.8:80:81", "web"]] }))],
    ["m: proxies=web-1 endpoints=web"],
  ],
  [
    "a changed tag",
    [put(dataplane("web-1", { inbound: [["10.0.0.1:80:81", { service: "web", version: "2" }]] }))],
    ["m: proxies=web-1 endpoints=web"],
  ],
  [
    "an inbound that moves to another service",
    [put(dataplane("web-1", { inbound: [["10.0.0.1:80:81", "shop"]] }))],
    ["m: proxies=web-1 endpoints=shop,web"],
  ],
  [
    "one of two services of a dataplane",
    [
      put(
        dataplane("both-1", {
          inbound: [
            ["10.0.0.3:80:81", "web"],
            ["10.0.0.3:99:91", "db"],
          ],
        }),
      ),
    ],
    ["m: proxies=both-1 endpoints=db"],
  ],
  ["a deleted dataplane", [gone("Dataplane", "both-1")], ["m: proxies=both-1 endpoints=db,web"]],
  ["deleting a dataplane that does not exist", [gone("Dataplane", "nobody")], []],
  ["deleting a dataplane of an unknown mesh", [gone("Dataplane", "web-1", "n")], []],
  ["deleting a mesh that does not exist", [gone("Mesh", "n", "n")], []],
  [
    "a dataplane whose mesh does not exist yet",
    [put(dataplane("early", { mesh: "n", inbound: [["10.0.0.9:1:2", "x"]] }))],
    ["n: proxies=early endpoints=x"],
  ],
  [
    "several changes together",
    [gone("Dataplane", "db-1"), put(dataplane("web-2", { inbound: [["10.0.0.4:80:81", "web"]] })), put(mesh("n"))],
    ["m: proxies=db-1,web-2 endpoints=db,web", "n: mesh"],
  ],
  [
    "a policy type that the view does not include",
    [
      put({ type: "TrafficLog", mesh: "m", name: "l", spec: {}, version: versionOf(1) }),
      put({ type: "TrafficLog", mesh: "new", name: "l", spec: {}, version: versionOf(1) }),
      gone("TrafficLog", "l"),
    ],
    [],
  ],
];

for (const [title, changes, touched] of table) {
  test(`touch exactly what they affect: ${title}`, () => assert.equal(after(base, ...changes).touched, touched));
}

test("endpoints of a service are those of all its dataplanes, by address and port", () => {
  const { view } = after(
    base,
    put(dataplane("a", { inbound: [["10.0.0.20:80:81", "web"]] })),
    put(
      dataplane("z", {
        inbound: [
          ["10.0.0.0:443:81", "web"],
          ["10.0.0.0:80:81", "web"],
        ],
      }),
    ),
  );
  assert.equal(endpoints(view, "web"), [
    "10.0.0.0:80 web",
    "10.0.0.0:443 web",
    "10.0.0.1:80 web",
    "10.0.0.20:80 web",
    "10.0.0.3:80 web",
  ]);
});

test("an endpoint that two dataplanes share exists once, and until both are deleted", () => {
  const twin = (name: string) => dataplane(name, { inbound: [["10.0.0.7:80:81", "twin"]] });
  const two = after(base, put(twin("t-1")), put(twin("t-2"))).view;
  assert.equal(endpoints(two, "twin"), ["10.0.0.7:80 twin"]);
  const one = after(two, gone("Dataplane", "t-1")).view;
  assert.equal(endpoints(one, "twin"), ["10.0.0.7:80 twin"]);
  assert.is(endpoints(after(one, gone("Dataplane", "t-2")).view, "twin"), undefined);
});

test("one interface with two services is an endpoint of both", () => {
  const shared = dataplane("s", {
    inbound: [
      ["10.0.0.7:80:81", "a"],
      ["10.0.0.7:80:81", "b"],
    ],
  });
  const { view } = after(base, put(shared));
  assert.equal([endpoints(view, "a"), endpoints(view, "b")], [["10.0.0.7:80 a"], ["10.0.0.7:80 b"]]);
});

test("a dataplane with an interface that does not parse has no endpoints, and affects no other", () => {
  const broken: readonly (readonly [Sketch, string])[] = [
    [
      {
        inbound: [
          ["10.0.0.1:80:81", "web"],
          ["localhost:1:2", "web"],
        ],
      },
      "networking.inbound[1]",
    ],
    [{ inbound: [["10.0.0.1:80:81", {}]] }, "networking.inbound[0]"],
    [{ inbound: [["10.0.0.1:80:81", "web"]], outbound: [["nowhere", "db"]] }, "networking.outbound[0]"],
  ];
  for (const [sketch, field] of broken) {
    const { view, touched } = after(base, put(dataplane("web-1", sketch)));
    assert.equal(touched, ["m: proxies=web-1 endpoints=web"]);
    assert.equal(meshOf(view).proxies.get("web-1")?.unusable, [field]);
    assert.equal(endpoints(view, "web"), ["10.0.0.3:80 web"]);
    assert.equal(endpoints(view, "db"), ["10.0.0.2:90 db", "10.0.0.3:90 db"]);
    const repaired = after(view, put(web));
    assert.equal(repaired.touched, ["m: proxies=web-1 endpoints=web"]);
    assert.equal(endpoints(repaired.view, "web"), ["10.0.0.1:80 web", "10.0.0.3:80 web"]);
  }
});

test("a stored inbound on 0.0.0.0 is not an endpoint, but the other inbounds of its dataplane are", () => {
  const sketch: Sketch = {
    inbound: [
      ["0.0.0.0:80:81", "web"],
      ["10.0.0.1:82:83", "web"],
    ],
  };
  const { view } = after(base, put(dataplane("web-1", sketch)));
  assert.equal(endpoints(view, "web"), ["10.0.0.1:82 web", "10.0.0.3:80 web"]);
});

test("a dataplane without networking is a proxy without inbounds and outbounds", () => {
  for (const spec of [{}, { networking: {} }]) {
    const bare: Stored = { type: "Dataplane", mesh: "m", name: "bare", spec, version: versionOf(1) };
    const { view, touched } = after(base, put(bare));
    assert.equal(touched, ["m: proxies=bare"]);
    const proxy = { name: "bare", inbounds: [], outbounds: [], redirectPort: 0, unusable: [] };
    assert.equal(meshOf(view).proxies.get("bare"), proxy);
  }
});

test("a proxy has parsed interfaces", () => {
  const { view } = after(
    base,
    put(
      dataplane("p", {
        inbound: [["10.0.0.9:80:81", { service: "p", v: "1" }]],
        outbound: [
          [":7", "db"],
          ["127.0.0.2:8", "web"],
        ],
        redirectPort: 15001,
      }),
    ),
  );
  assert.equal(meshOf(view).proxies.get("p"), {
    name: "p",
    inbounds: [{ address: "10.0.0.9", port: 80, servicePort: 81, service: "p", tags: { service: "p", v: "1" } }],
    outbounds: [
      { address: "127.0.0.1", port: 7, service: "db" },
      { address: "127.0.0.2", port: 8, service: "web" },
    ],
    redirectPort: 15001,
    unusable: [],
  });
});

test("a listing replaces everything, and touches what was created, deleted or changed", () => {
  const moved = dataplane("db-1", { inbound: [["10.0.0.5:90:91", "db"]] });
  const { view, touched } = after(base, listing(mesh(), web, moved));
  assert.equal(touched, ["m: mesh proxies=both-1,db-1,web-1 endpoints=db,web"]);
  assert.equal([...meshOf(view).proxies.keys()].sort(), ["db-1", "web-1"]);
  assert.equal([endpoints(view, "web"), endpoints(view, "db")], [["10.0.0.1:80 web"], ["10.0.0.5:90 db"]]);
});

test("an unchanged listing touches no service", () => {
  const { view, touched } = after(base, listing(mesh(), web, db, both));
  assert.equal(touched, ["m: mesh proxies=both-1,db-1,web-1"]);
  assert.is(meshOf(view).services, meshOf(base).services);
});

test("an empty listing leaves no mesh", () => {
  const { view, touched } = after(base, listing());
  assert.equal(touched, ["m: mesh proxies=both-1,db-1,web-1 endpoints=db,web"]);
  assert.is(view.size, 0);
});

test("a mesh is in the view as long as it or one of its dataplanes exists", () => {
  const orphaned = after(base, gone("Mesh", "m")).view;
  assert.is(meshOf(orphaned).resource, undefined);
  assert.equal(endpoints(orphaned, "web"), endpoints(base, "web"));
  const names = ["web-1", "db-1", "both-1"];
  const empty = after(orphaned, ...names.map((name) => gone("Dataplane", name))).view;
  assert.is(empty.has("m"), false);
  const bare = after(base, ...names.map((name) => gone("Dataplane", name))).view;
  assert.equal([bare.has("m"), meshOf(bare).services.size], [true, 0]);
});

test("two meshes with resources of the same names are independent", () => {
  const other = dataplane("web-1", { mesh: "n", inbound: [["10.1.0.1:80:81", "web"]] });
  const { view, touched } = after(base, put(mesh("n")), put(other));
  assert.equal(touched, ["n: mesh proxies=web-1 endpoints=web"]);
  assert.is(meshOf(view), meshOf(base));
  assert.equal(endpoints(view, "web", "n"), ["10.1.0.1:80 web"]);
  const without = after(view, gone("Dataplane", "web-1"));
  assert.equal(without.touched, ["m: proxies=web-1 endpoints=web"]);
  assert.is(meshOf(without.view, "n"), meshOf(view, "n"));
});

test("parts that a change does not touch stay the same objects", () => {
  const { view } = after(base, put(dataplane("web-2", { inbound: [["10.0.0.4:80:81", "web"]] })));
  const [before, now] = [meshOf(base), meshOf(view)];
  assert.is(now.services.get("db"), before.services.get("db"));
  assert.is.not(now.services.get("web"), before.services.get("web"));
  assert.is(now.proxies.get("db-1"), before.proxies.get("db-1"));
  assert.is(now.resource, before.resource);
  const consumer = meshOf(after(base, put(dataplane("c", { outbound: [[":1", "db"]] }))).view);
  assert.is(consumer.services, before.services);
  assert.is(after(base, put(mesh("n"))).view.get("m"), before);
});

test("an earlier view never changes", () => {
  const held = endpoints(base, "web");
  after(base, gone("Dataplane", "web-1"), put(both), listing());
  assert.equal(endpoints(base, "web"), held);
  assert.equal([...meshOf(base).proxies.keys()].sort(), ["both-1", "db-1", "web-1"]);
});

test("after any series of changes the view equals that of a listing of the same resources", () => {
  const picture = (view: View) =>
    [...view.values()]
      .map(({ name, resource: own, proxies, services }) => ({
        name,
        own: own?.version,
        proxies: [...proxies.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
        services: [...services].map(([service, { endpoints: all }]) => `${service}: ${all.map(endpoint)}`).sort(),
      }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  for (let seed = 0; seed < 50; seed++) {
    const random = seeded(seed);
    const stored = new Map<string, Stored>();
    let view = emptyView;
    for (let step = 0; step < 40; step++) {
      const inMesh = random.pick(["m", "n"]);
      const name = `d-${random.below(5)}`;
      const host = () => random.pick(["10.0.0.1", "10.0.0.2", "bad"]);
      const resource = random.chance(0.15)
        ? mesh(inMesh)
        : dataplane(name, {
            mesh: inMesh,
            inbound: Array.from(
              { length: random.below(3) },
              (_, index) => [`${host()}:${80 + index}:1`, random.pick(["a", "b", "c"])] as const,
            ),
          });
      const id = `${resource.type} ${inMesh} ${resource.name}`;
      if (random.chance(0.3)) {
        stored.delete(id);
        view = after(view, gone(resource.type, resource.name, inMesh)).view;
      } else {
        stored.set(id, resource);
        view = after(view, put(resource)).view;
      }
      const fresh = after(emptyView, listing(...stored.values())).view;
      assert.equal(picture(view), picture(fresh), `seed ${seed}, step ${step}`);
    }
    const relisted = after(base, listing(...stored.values())).view;
    assert.equal(picture(relisted), picture(view), `seed ${seed}, listed over another view`);
  }
});

test("an application that is down marks its endpoints, in either order, and an unchanged report touches nothing", () => {
  const health = (...down: number[]): Stored => ({
    type: "DataplaneHealth",
    mesh: "m",
    name: "a",
    spec: { down },
    version: versionOf(1),
  });
  const proxy = dataplane("a", {
    inbound: [
      ["127.0.0.1:8000:80", "x"],
      ["127.0.0.1:8001:81", "y"],
    ],
  });
  const down = (view: View) =>
    ["x", "y"].map((service) =>
      meshOf(view)
        .services.get(service)
        ?.endpoints.map((one) => one.down === true)
        .join(),
    );
  const up = after(emptyView, listing(mesh(), proxy)).view;
  const one = after(up, put(health(80)));
  assert.equal(one.touched, ["m: endpoints=x"]);
  assert.equal(down(one.view), ["true", "false"]);
  assert.equal(after(one.view, put(health(80))).touched, []);
  assert.equal(down(after(one.view, put(proxy)).view), ["true", "false"], "a Dataplane that is written again");
  assert.equal(down(after(emptyView, listing(health(80), mesh(), proxy)).view), ["true", "false"]);
  const other = after(one.view, put(health(81)));
  assert.equal(other.touched, ["m: endpoints=x,y"]);
  assert.equal(down(other.view), ["false", "true"]);
  const well = after(other.view, gone("DataplaneHealth", "a"));
  assert.equal([well.touched, down(well.view)], [["m: endpoints=y"], ["false", "false"]]);
  assert.equal(down(after(one.view, listing(mesh(), proxy)).view), ["false", "false"], "a listing without it");
  const empty = after(one.view, gone("Dataplane", "a"), gone("DataplaneHealth", "a"), gone("Mesh", "m"));
  assert.is(empty.view.size, 0);
});

test.run();
