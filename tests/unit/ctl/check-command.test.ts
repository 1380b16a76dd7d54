import type { RequestListener } from "node:http";
import * as assert from "uvu/assert";
import { askControlPlane } from "../../../src/ctl/check/control-plane.js";
import { connect } from "../../../src/ctl/connection.js";
import { processIo } from "../../../src/lib/cli.js";
import { suite } from "../../support/suite.js";
import { createHome, startControlPlane, startServer } from "./stage.js";

const test = suite("kumactl check: the command and what it asks");

let home = createHome();
test.before.each(() => {
  home = createHome();
});
test.after.each(() => home.remove());

interface Document {
  readonly success: boolean;
  readonly categories: readonly {
    readonly name: string;
    readonly checks: readonly { readonly id: string; readonly result: string; readonly reason?: string }[];
  }[];
}

async function check(...words: string[]) {
  const { code, out, err } = await home.run(["check", "-o", "json", ...words]);
  const document: Document = JSON.parse(out);
  const checks = document.categories.flatMap((category) => category.checks);
  const reason = (id: string) => checks.find((one) => one.id === id)?.reason ?? "";
  return { code, err, document, checks, reason };
}

const networking = { inbound: [{ interface: "127.0.0.1:80:8080", tags: { service: "a" } }] };

/** A control plane whose two meshes have a Dataplane each; that of "other" never connected. */
async function startMeshes() {
  const cp = await startControlPlane();
  home.pointTo(cp.url);
  const { store } = cp;
  await store.create({ type: "Mesh", mesh: "other", name: "other", spec: { mtls: { enabled: true } } });
  for (const mesh of ["default", "other"]) {
    await store.create({ type: "Dataplane", mesh, name: "a", spec: { networking } });
  }
  await store.create({
    type: "DataplaneInsight",
    mesh: "default",
    name: "a",
    spec: { subscriptions: [{ id: "1", connectTime: "2026-01-01T00:00:00Z", status: {} }] },
  });
  return cp;
}

test("all meshes are checked, or the named one, also when it is the default one", async () => {
  const cp = await startMeshes();
  const all = await check();
  assert.is(all.code, 1);
  assert.is(all.document.success, false);
  assert.is(all.reason("connected"), '"a" in mesh "other" is registered, but its proxy has never connected');
  assert.match((await check("--mesh=other")).reason("connected"), 'in mesh "other"');
  assert.is((await check("--mesh", "default")).reason("connected"), "");
  assert.match((await check("--mesh=nope")).reason("mesh"), 'there is no mesh "nope"');
  await cp.close();
});

test("an insight is converted to the state of its proxy", async () => {
  const cp = await startMeshes();
  const { store } = cp;
  const refused = [{ type: "lds", name: "inbound:127.0.0.1:80", reason: "cannot bind" }];
  const certificateTimes = {
    certificateExpirationTime: "2026-01-31T00:00:00Z",
    lastCertificateRegeneration: "2026-01-01T00:00:00Z",
  };
  await store.create({
    type: "DataplaneInsight",
    mesh: "other",
    name: "a",
    spec: {
      subscriptions: [
        {
          id: "1",
          connectTime: "2026-01-02T00:00:00Z",
          status: {
            refused,
            lastUpdateTime: "2026-01-02T00:00:05Z",
            total: { responsesSent: "5", responsesAcknowledged: "3", responsesRejected: "1" },
          },
        },
        { id: "0", connectTime: "2026-01-01T00:00:00Z", disconnectTime: "2026-01-01T01:00:00Z", status: {} },
      ],
      mTLS: { ...certificateTimes, refusal: { time: "2026-01-25T00:00:00Z", reason: "it is for another" } },
    },
  });
  await store.create({ type: "DataplaneHealth", mesh: "other", name: "a", spec: { down: [80] } });
  const scope = { pre: false, mesh: "other", token: undefined };
  const connection = () => connect({ globals: { configFile: home.config }, io: processIo(), logLevel: "off" });
  const asked = askControlPlane(connection, scope, Date.now);
  assert.equal(await asked.meshes(), [{ name: "other", mtls: true }]);
  assert.equal(await asked.proxies(), [
    {
      mesh: "other",
      name: "a",
      mtls: true,
      connection: "online",
      connected: new Date("2026-01-02T00:00:00Z"),
      streams: [new Date("2026-01-02T00:00:00Z")],
      disconnected: undefined,
      refused: [
        { mesh: "other", dataplane: "a", type: "lds", resource: "inbound:127.0.0.1:80", reason: "cannot bind" },
      ],
      down: [80],
      unanswered: new Date("2026-01-02T00:00:05Z"),
      certificate: { taken: new Date("2026-01-01T00:00:00Z"), expires: new Date("2026-01-31T00:00:00Z") },
      refusal: { at: "2026-01-25T00:00:00Z", reason: "it is for another" },
    },
  ]);
  await cp.close();
});

/** What the index says of a server that answers so, when the exchange began and ended at these times. */
async function indexOf(listener: RequestListener, sent = 0, received = 0) {
  const server = await startServer(listener);
  home.pointTo(server.url);
  const times = [sent, received];
  const connection = () => connect({ globals: { configFile: home.config }, io: processIo(), logLevel: "off" });
  try {
    const scope = { pre: false, mesh: undefined, token: undefined };
    return await askControlPlane(connection, scope, () => times.shift() ?? 0).index();
  } finally {
    await server.close();
  }
}

const noon = Date.parse("2026-01-01T12:00:00Z");
const kuma: RequestListener = (_, response) =>
  response.setHeader("date", new Date(noon).toUTCString()).end('{"tagline":"Kuma","version":"0.3.0"}');

test("what the exchange and whole seconds explain is not a clock difference", async () => {
  const ahead = async (sent: number, received: number) => (await indexOf(kuma, sent, received)).ahead;
  assert.is(await ahead(noon, noon + 10), 0);
  assert.is(await ahead(noon + 2_000, noon + 2_010), 0);
  assert.is(await ahead(noon - 30_000, noon + 30_000), 0);
  assert.is(await ahead(noon - 75_010, noon - 75_000), 75_000);
  assert.is(await ahead(noon + 77_000, noon + 77_010), -75_000);
});

test("any answer has an index", async () => {
  assert.equal(await indexOf(kuma, noon, noon), { status: 200, tagline: "Kuma", version: "0.3.0", ahead: 0 });
  const foreign = await indexOf((_, response) => response.writeHead(404, { date: "never" }).end("<html>"));
  assert.equal(foreign, { status: 404, tagline: "", version: "", ahead: undefined });
  assert.equal((await indexOf((_, response) => response.end('["Kuma"]'))).tagline, "");
});

test("each is asked once", async () => {
  const cp = await startControlPlane();
  const paths: string[] = [];
  const server = await startServer(async (request, response) => {
    paths.push(request.url ?? "");
    const answer = await fetch(cp.url + request.url);
    response.writeHead(answer.status, { "content-type": "application/json" }).end(await answer.text());
  });
  home.pointTo(server.url);
  await check();
  assert.equal(paths.sort(), [
    "/",
    "/certificate-authorities",
    "/config",
    "/meshes",
    "/meshes/default/dataplanes+insights",
    "/meshes/default/problems",
    "/status",
    "/unregistered-proxies",
  ]);
  await server.close();
  await cp.close();
});

test("a mesh that is deleted meanwhile is skipped, and one that can't be checked is a failure", async () => {
  const cp = await startControlPlane();
  const { store } = cp;
  await store.create({ type: "Mesh", mesh: "other", name: "other", spec: {} });
  await store.create({ type: "Dataplane", mesh: "default", name: "a", spec: { networking } });
  let gone = 404;
  const server = await startServer(async (request, response) => {
    const json = (status: number, value: unknown) => response.writeHead(status).end(JSON.stringify(value));
    if (request.url === "/meshes/other/problems") {
      const causes = [{ field: "mesh", message: 'there is no Mesh "other"' }];
      return void json(gone, { title: "Could not look for problems", details: "Not found", causes });
    }
    if (request.url === "/meshes/default/problems") {
      const problems = [{ code: "no-endpoint", message: "nobody offers it" }, { code: 5 }, "x"];
      return void json(200, { mesh: "default", problems, complete: true });
    }
    const answer = await fetch(cp.url + request.url);
    response.writeHead(answer.status, { "content-type": "application/json" }).end(await answer.text());
  });
  home.pointTo(server.url);
  assert.is((await check()).reason("destinations"), 'mesh "default": nobody offers it');
  gone = 500;
  assert.match(
    (await check()).reason("destinations"),
    "the Control Plane responded to /meshes/other/problems with status 500",
  );
  await server.close();
  await cp.close();
});

test("an error half-way is a failure of the check that sent the request", async () => {
  const server = await startServer((request, response) => {
    if (request.url === "/") kuma(request, response);
    else response.writeHead(500).end('{"title":"Could not list","details":"Internal Server Error"}');
  });
  home.pointTo(server.url);
  const { code, err, reason, checks } = await check();
  assert.equal({ code, err }, { code: 1, err: "" });
  assert.match(reason("mesh"), /Could not list \(Internal Server Error\)/);
  assert.is(checks.find(({ id }) => id === "connected")?.result, "skipped");
  await server.close();
});

test("with --pre only this machine is checked", async () => {
  home.file(".kumactl-config", "currentContext: nowhere");
  const { document } = await check("--pre", "--config-file", `${home.path}/.kumactl-config`);
  assert.equal(
    document.categories.map(({ name }) => name),
    ["this machine"],
  );
});

test("an unusable configuration is a failed check, and the run continues", async () => {
  const file = home.file("config", "currentContext: nowhere");
  const { code, reason, checks } = await check("--config-file", file);
  assert.is(code, 1);
  assert.match(reason("kumactl-config"), 'the active context "nowhere" refers to no Control Plane');
  assert.is(checks.filter(({ result }) => result === "error").length, 1);
});

test("a token is checked with the named mesh, or the default one", async () => {
  const cp = await startControlPlane();
  home.pointTo(cp.url);
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const file = home.file("token", `${encode({ alg: "RS256" })}.${encode({ Name: "a", Mesh: "default" })}.c2ln\n`);
  const token = ["--token-file", file, "--name", "a"];
  assert.is((await check(...token)).checks.at(-1)?.result, "success");
  const other = await check("--pre", ...token, "--mesh=other");
  assert.is(other.code, 1);
  assert.is(
    other.reason("token-file"),
    'the token is for dataplane "a" in mesh "default", and not for "a" in mesh "other"',
  );
  await cp.close();
});

test("flags that don't fit together are rejected", async () => {
  for (const words of [["--name=a"], ["--token-file=t"]]) {
    const { code, err } = await home.run(["check", ...words]);
    assert.is(code, 1);
    assert.match(err, /^Error: --token-file and --name have to be given together\nUsage:/);
  }
  const { err } = await home.run(["check", "-o", "yaml"]);
  assert.match(err, /^Error: invalid argument "yaml" for "--output" flag: known formats are table and json/);
});

test.run();
