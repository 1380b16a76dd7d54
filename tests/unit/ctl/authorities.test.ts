import * as assert from "uvu/assert";
import { suite } from "../../support/suite.js";
import { createHome, startControlPlane, startServer } from "./stage.js";

const test = suite("certificate authorities in kumactl");

const home = createHome();
test.after(() => home.remove());

interface Told {
  readonly status?: number;
  readonly body: unknown;
}

/** What kumactl says to a control plane with these answers, by method and path, or else with a 404 and no JSON. */
async function run(words: readonly string[], answers: Readonly<Record<string, Told>>, color = false) {
  const asked: string[] = [];
  const server = await startServer((request, response) => {
    const line = `${request.method} ${request.url}`;
    asked.push(line);
    const { status = 200, body } = answers[line] ?? { status: 404, body: undefined };
    response.writeHead(status).end(body === undefined ? "404 page not found\n" : JSON.stringify(body));
  });
  home.pointTo(server.url);
  try {
    return { ...(await home.run(words, { color })), asked };
  } finally {
    await server.close();
  }
}

const rotatePath = "POST /meshes/demo/certificate-authority/rotate";
const listPath = "GET /certificate-authorities";

const rotations: readonly (readonly [title: string, told: Told, code: number, out: string, err: string])[] = [
  [
    "that begins",
    { status: 202, body: { mesh: "demo", state: "distributing", waitingFor: ["p", "q"] } },
    0,
    'the rotation has begun in mesh "demo"\nrotating: the new root is not trusted yet by p, q\n',
    "",
  ],
  [
    "that nobody has to be waited for in",
    { status: 202, body: { mesh: "demo", state: "distributing", waitingFor: [] } },
    0,
    'the rotation has begun in mesh "demo"\nrotating: the new root is about to sign\n',
    "",
  ],
  [
    "with many to wait for",
    { status: 202, body: { mesh: "demo", state: "distributing", waitingFor: ["a", "b", "c", "d", "e"] } },
    0,
    'the rotation has begun in mesh "demo"\nrotating: the new root is not trusted yet by a, b, c and 2 more\n',
    "",
  ],
  [
    "while one is under way",
    { body: { mesh: "demo", state: "retiring", retiresAt: "2026-01-31T00:01:00.000Z", more: { x: 1 } } },
    0,
    'a rotation is already in progress in mesh "demo"\n' +
      "rotating: the new root signs, the old one retires at 2026-01-31T00:01:00.000Z\n",
    "",
  ],
  [
    "in a state that only a newer control plane knows",
    { body: { mesh: "demo", state: "pondering" } },
    0,
    'a rotation is already in progress in mesh "demo"\npondering\n',
    "",
  ],
  [
    "of a mesh that doesn't exist",
    { status: 404, body: { title: "Could not rotate a certificate authority", details: "Not found" } },
    1,
    "",
    'Error: there is no Mesh with name "demo"\n',
  ],
  [
    "of an authority that can't be used",
    { status: 409, body: { title: "Could not rotate a certificate authority", details: "it is no JSON" } },
    1,
    "",
    "Error: Could not rotate a certificate authority (it is no JSON)\n",
  ],
  ["that a proxy on the way refuses", { status: 502, body: "bad gateway" }, 1, "", 'Error: (502): "bad gateway"\n'],
];

for (const [title, told, code, out, err] of rotations) {
  test(`a rotation ${title}`, async () => {
    const { asked, ...outcome } = await run(["manage", "ca", "rotate", "--mesh", "demo"], { [rotatePath]: told });
    assert.equal(outcome, { code, out, err });
    assert.is(asked[0], rotatePath);
  });
}

test("a rotation on a control plane that is too old is not blamed on the mesh", async () => {
  const { code, err } = await run(["manage", "ca", "rotate", "--mesh", "demo"], {
    "GET /meshes/demo": { body: { type: "Mesh", name: "demo" } },
  });
  assert.equal([code, err], [1, "Error: this Control Plane can't rotate certificate authorities\n"]);
});

test("a rotation with an unexpected response is not a success", async () => {
  for (const body of [{}, [], "x", { mesh: "demo" }, { state: "active" }, { mesh: 1, state: "active" }]) {
    const { code, out, err } = await run(["manage", "ca", "rotate", "--mesh", "demo"], { [rotatePath]: { body } });
    assert.equal([code, out], [1, ""]);
    assert.match(err, /^Error: the response of .* is not a certificate authority\n$/);
  }
});

test("a rotation uses the mesh in --mesh, or default", async () => {
  const path = "POST /meshes/default/certificate-authority/rotate";
  const { out } = await run(["manage", "ca", "rotate"], {
    [path]: { status: 202, body: { mesh: "default", state: "distributing" } },
  });
  assert.match(out, 'in mesh "default"');
  const { err, asked } = await run(["manage", "ca", "rotate", "--mesh", ".."], {});
  assert.is(err, 'Error: ".." is not a valid name\n');
  assert.equal(asked, []);
});

const meshes = { "GET /meshes": { body: { items: ["a", "b"].map((name) => ({ type: "Mesh", name })) } } };
const plain = "NAME   mTLS\na      off\nb      off\n";

const columns: readonly (readonly [title: string, told: Told | undefined, out: string])[] = [
  ["all authorities are well", { body: { items: [{ mesh: "a", state: "active" }] } }, plain],
  ["there is none", { body: { items: [] } }, plain],
  ["the control plane is older and doesn't tell", undefined, plain],
  ["the answer is no list", { body: { items: "x" } }, plain],
  ["what it tells is not understood", { body: { items: [null, 7, { mesh: "a" }, { state: "distributing" }] } }, plain],
  [
    "a rotation runs",
    {
      body: {
        items: [
          { mesh: "a", state: "active" },
          { mesh: "b", state: "distributing", waitingFor: ["p"] },
        ],
      },
    },
    "NAME   mTLS   CA\na      off    builtin\nb      off    rotating: the new root is not trusted yet by p\n",
  ],
  [
    "an authority can't be used",
    { body: { items: [{ mesh: "a", state: "unusable", reason: "it is no JSON" }] } },
    "NAME   mTLS   CA\na      off    unusable: it is no JSON\nb      off    builtin\n",
  ],
];

for (const [title, told, out] of columns) {
  test(`get meshes ${out === plain ? "has no column for authorities" : "says so in a column"} when ${title}`, async () => {
    const outcome = await run(["get", "meshes"], told === undefined ? meshes : { ...meshes, [listPath]: told });
    assert.equal([outcome.code, outcome.out, outcome.err], [0, out, ""]);
  });
}

test("get meshes as YAML or JSON, and other kinds, don't ask for authorities", async () => {
  for (const words of [
    ["get", "meshes", "-o", "json"],
    ["get", "meshes", "-o", "yaml"],
    ["get", "dataplanes"],
  ]) {
    const { asked } = await run(words, { ...meshes, "GET /meshes/default/dataplanes": { body: { items: [] } } });
    assert.not.ok(asked.includes(listPath), words.join(" "));
  }
});

const overviews = { "GET /meshes/demo/dataplanes+insights": { body: { items: [] } } };
const inspect = ["inspect", "dataplanes", "--mesh", "demo"];
const warning = 'Warning: mesh "demo" issues no certificates: it is no JSON';
const broken = (mesh: string) => ({ mesh, state: "unusable", reason: "it is no JSON" });

const warnings: readonly (readonly [title: string, told: Told | undefined, err: string])[] = [
  ["the mesh's authority can't be used", { body: { items: [broken("other"), broken("demo")] } }, `${warning}\n`],
  ["another mesh's can't", { body: { items: [broken("other"), { mesh: "demo", state: "active" }] } }, ""],
  ["a rotation runs", { body: { items: [{ mesh: "demo", state: "distributing", waitingFor: ["p"] }] } }, ""],
  ["the control plane is older and doesn't tell", undefined, ""],
];

for (const [title, told, err] of warnings) {
  test(`inspect dataplanes ${err === "" ? "warns of nothing" : "warns"} when ${title}`, async () => {
    const outcome = await run(inspect, told === undefined ? overviews : { ...overviews, [listPath]: told });
    assert.equal([outcome.code, outcome.err], [0, err]);
    assert.match(outcome.out, /^MESH +NAME/);
  });
}

test("the warning is red on a terminal, and not part of JSON", async () => {
  const answers = { ...overviews, [listPath]: { body: { items: [broken("demo")] } } };
  assert.is((await run(inspect, answers, true)).err, `\u001b[31m${warning}\u001b[39m\n`);
  const { err, asked } = await run([...inspect, "-o", "json"], answers);
  assert.equal([err, asked.includes(listPath)], ["", false]);
});

test("our own control plane understands all of it", async () => {
  const cp = await startControlPlane();
  home.pointTo(cp.url);
  assert.is((await home.run(["get", "meshes"])).code, 0);
  const { code, err } = await home.run(["manage", "ca", "rotate", "--mesh", "nope"]);
  assert.equal([code, err], [1, 'Error: there is no Mesh with name "nope"\n']);
  await cp.close();
});

test.run();
