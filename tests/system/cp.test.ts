import { once } from "node:events";
import fs from "node:fs";
import http2 from "node:http2";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { deltaMethod, firstRequest } from "../support/discovery-request.js";
import { eventually } from "../support/eventually.js";
import {
  anyPorts,
  type ControlPlane,
  put,
  runProgram,
  startControlPlane,
  startProgram,
} from "../support/executable.js";
import { freePort } from "../support/ports.js";
import { suite } from "../support/suite.js";

const test = suite("kuma-cp as a process");

const running: ControlPlane[] = [];

async function start(env: Readonly<Record<string, string>> = {}): Promise<ControlPlane> {
  const cp = await startControlPlane(env);
  running.push(cp);
  return cp;
}

test.after(async () => {
  for (const cp of running) if (cp.child.exitCode === null) await cp.kill();
});

/** kuma-cp run that is expected to refuse its start: the exit code and everything it said. */
async function refused(env: Readonly<Record<string, string>>, args: readonly string[] = []): Promise<string> {
  const cp = startProgram("kuma-cp", ["run", ...args], { ...anyPorts, ...env });
  const code = await cp.ended;
  assert.is(code, 1, cp.output());
  return cp.output();
}

const status = async (url: string, init: RequestInit = {}) => (await fetch(url, init)).status;
const json = { "content-type": "application/json" };
const ownMesh = { method: "PUT", headers: json, body: '{"type":"Mesh","name":"m"}' };

/** What a raw connection got back until the other side closed it. */
function rawAnswer(port: number, bytes: string, host = "127.0.0.1"): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, host, () => socket.write(bytes));
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
    });
    socket.on("close", () => resolve(text));
    socket.on("error", reject);
  });
}

const portOf = (url: string) => Number(new URL(url).port);

test("says its version in one line, and with --detailed in four", () => {
  const short = runProgram("kuma-cp", ["version"]);
  assert.equal([short.status, short.stdout.trim().split("\n").length], [0, 1]);
  const long = runProgram("kuma-cp", ["version", "--detailed"]);
  assert.is(long.status, 0);
  assert.match(long.stdout, /^Version: .*\nGit Tag: .*\nGit Commit: .*\nBuild Date: .*\n$/);
});

test("helps with -h, with help, and without any word", () => {
  for (const args of [["-h"], ["help"], []]) {
    const { status, stdout } = runProgram("kuma-cp", args);
    assert.is(status, 0);
    assert.match(stdout, /run +Launch the control plane/);
  }
  assert.match(runProgram("kuma-cp", ["run", "-h"]).stdout, /-c, --config-file/);
});

test("prints its ports, lists them in the catalogue on both servers, and suggests the next commands", async () => {
  const cp = await start();
  const [bootstrap, tokens] = [cp.bootstrap, cp.tokens].map((url) => url.replace("127.0.0.1", "localhost"));
  const expected = { apis: { bootstrap: { url: bootstrap }, dataplaneToken: { localUrl: tokens, publicUrl: "" } } };
  for (const url of [cp.api, cp.bootstrap]) {
    for (const spelling of ["catalogue", "catalog"]) {
      assert.equal(await (await fetch(`${url}/${spelling}`)).json(), expected);
    }
  }
  assert.match(cp.output(), /kumactl config control-planes add --name=local --address=http:\/\/localhost:\d+/);
});

test("is healthy and ready, to any method and with empty bodies, and nothing else is there", async () => {
  const cp = await start();
  for (const method of ["GET", "POST"]) {
    for (const [page, code] of [
      ["/healthy", 200],
      ["/ready", 200],
      ["/x", 404],
    ] as const) {
      const answer = await fetch(cp.health + page, { method });
      assert.equal([answer.status, await answer.text()], [code, ""]);
    }
  }
});

test("stops in order on SIGTERM and on SIGINT, with connections open", async () => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    const cp = await start();
    await (await fetch(`${cp.api}/meshes`)).text();
    const silent = net.connect(portOf(cp.api), "127.0.0.1").on("error", () => {});
    await eventually("it is connected", () => silent.readyState === "open");
    cp.child.kill(signal);
    assert.is(await cp.ended, 0, cp.output());
    assert.match(cp.output(), /stopping/);
    silent.destroy();
  }
});

test("ends at once with 1 on a second signal", async () => {
  const cp = await start();
  // A request that is not finished yet makes an orderly stop wait.
  const busy = net.connect(portOf(cp.api), "127.0.0.1", () =>
    busy.write("PUT /meshes/m HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n{"),
  );
  busy.on("error", () => {});
  await eventually("it is connected", () => busy.readyState === "open");
  await (await fetch(`${cp.api}/meshes`)).text();
  cp.child.kill("SIGTERM");
  await eventually("it is stopping", () => cp.output().includes("stopping"));
  cp.child.kill("SIGTERM");
  assert.is(await cp.ended, 1, cp.output());
  busy.destroy();
});

test("names the setting and the port when a port is taken, and leaves nothing running", async () => {
  const cp = await start();
  const cases = [
    ["KUMA_API_SERVER_PORT", portOf(cp.api)],
    ["KUMA_BOOTSTRAP_SERVER_PORT", portOf(cp.bootstrap)],
    ["KUMA_XDS_SERVER_GRPC_PORT", cp.xdsPort],
    ["KUMA_XDS_SERVER_DIAGNOSTICS_PORT", portOf(cp.health)],
    ["KUMA_DATAPLANE_TOKEN_SERVER_LOCAL_PORT", portOf(cp.tokens)],
  ] as const;
  for (const [variable, port] of cases) {
    const output = await refused({ [variable]: String(port) });
    assert.match(
      output,
      new RegExp(`Error: Could not listen on .*port ${port}: the port is already taken.*${variable}`),
    );
  }
});

test("refuses settings that make no sense, by name", async () => {
  assert.match(await refused({ KUMA_STORE_TYPE: "bogus" }), /KUMA_STORE_TYPE .*either memory, postgres or kubernetes/);
  assert.match(await refused({ KUMA_API_SERVER_PORT: "65536" }), /KUMA_API_SERVER_PORT/);
  assert.match(await refused({}, ["-c", "/missing"]), /Failed to access configuration file "\/missing"/);
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-cp-test-"));
  const file = path.join(directory, "cp.yaml");
  fs.writeFileSync(file, "apiServer: [\n");
  assert.match(await refused({}, ["-c", file]), /Failed to parse configuration file ".*cp\.yaml"/);
  fs.writeFileSync(file, "apiserver: {}\n");
  assert.match(await refused({}, ["-c", file]), /cp\.yaml: unknown key apiserver; did you mean apiServer/);
  fs.rmSync(directory, { recursive: true });
  assert.match(await refused({}, ["--log-level", "loud"]), /unknown log level "loud"/);
});

test("reads settings from its file, which the environment overrides, and shows them without secrets", async () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-cp-test-"));
  const file = path.join(directory, "cp.yaml");
  fs.writeFileSync(file, "apiServer: {readOnly: true}\ngeneral: {advertisedHostname: from-file}\n");
  const env = { ...anyPorts, KUMA_GENERAL_ADVERTISED_HOSTNAME: "from-env" };
  const cp = startProgram("kuma-cp", ["run", "--config-file", file], env);
  try {
    await eventually("the control plane is ready", () => cp.output().includes("Next, in another terminal"));
    const [, port] = /HTTP API +http:\/\/from-env:(\d+)/.exec(cp.output()) ?? [];
    const config = (await (await fetch(`http://127.0.0.1:${port}/config`)).json()) as Record<string, unknown>;
    assert.equal(config.general, { advertisedHostname: "from-env" });
    assert.equal((config.apiServer as { readOnly: unknown }).readOnly, true);
    assert.is(await status(`http://127.0.0.1:${port}/meshes/m`, ownMesh), 405);
    assert.is(await status(`http://127.0.0.1:${port}/meshes/default`, { method: "DELETE" }), 405);
    assert.is(await status(`http://127.0.0.1:${port}/meshes/default`), 200);
  } finally {
    await cp.stop();
    fs.rmSync(directory, { recursive: true });
  }
});

test("shows every setting and where it came from, and an example file that it accepts", () => {
  const table = runProgram("kuma-cp", ["config"]);
  assert.equal([table.status, table.stderr], [0, ""]);
  assert.match(table.stdout, /^apiServer\.port +KUMA_API_SERVER_PORT +5681 +default$/m);
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-cp-test-"));
  const file = path.join(directory, "example.yaml");
  fs.writeFileSync(file, runProgram("kuma-cp", ["config", "--example"]).stdout);
  const read = runProgram("kuma-cp", ["config", "-c", file]);
  assert.match(read.stdout, /^apiServer\.port +KUMA_API_SERVER_PORT +5681 +file$/m);
  assert.is(runProgram("kuma-cp", ["config", "-c", file, "-o", "yaml"]).status, 0);
  assert.is(runProgram("kuma-cp", ["config", "-o", "xml"]).status, 1);
  fs.rmSync(directory, { recursive: true });
});

test("warns about variables without effect, and opens no port for them", async () => {
  const gui = await freePort();
  const cp = await start({ KUMA_GUI_SERVER_PORT: String(gui), KUMA_API_SERVR_PORT: "1" });
  assert.match(cp.output(), /\tWARN\t\S+\tKUMA_GUI_SERVER_PORT has no effect: there is no GUI server/);
  assert.match(cp.output(), /KUMA_API_SERVR_PORT .*did you mean KUMA_API_SERVER_PORT/);
  assert.is(
    await rawAnswer(gui, "").then(
      () => "open",
      () => "refused",
    ),
    "refused",
  );
});

test("listens for the HTTP API only on the configured address", async () => {
  const outside = Object.values(os.networkInterfaces())
    .flat()
    .find((address) => address?.family === "IPv4" && !address.internal)?.address;
  // Every 127.x.y.z is this machine; a machine without a network has no other address to try.
  const other = outside ?? "127.0.0.2";
  const cp = await start({ KUMA_API_SERVER_INTERFACE: "127.0.0.1" });
  assert.is(await status(`${cp.api}/meshes`), 200);
  assert.is(
    await rawAnswer(portOf(cp.api), "", other).then(
      () => "open",
      () => "refused",
    ),
    "refused",
  );
});

test("rejects writes that a browser makes for another site, on every server", async () => {
  const cp = await start();
  const api = `${cp.api}/meshes/m`;
  const request = (headers: string) =>
    rawAnswer(
      portOf(cp.api),
      `PUT /meshes/m HTTP/1.1\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 26\r\n${headers}\r\n\r\n{"type":"Mesh","name":"m"}`,
    );
  assert.match(await request("Host: localhost\r\nOrigin: http://evil.example"), /^HTTP\/1\.1 403 .*/);
  assert.match(await request("Host: localhost\r\nSec-Fetch-Site: cross-site"), /^HTTP\/1\.1 403 /);
  assert.is(await status(api), 404);
  assert.match(await request("Host: cp.internal:5681"), /^HTTP\/1\.1 201 /);
  const foreign = { origin: "http://evil.example" };
  const read = await fetch(api, { headers: foreign });
  assert.equal([read.status, read.headers.get("access-control-allow-origin")], [200, null]);
  for (const url of [`${cp.bootstrap}/bootstrap`, `${cp.tokens}/tokens`]) {
    assert.is(await status(url, { method: "POST", headers: foreign, body: "{}" }), 403);
  }
});

test("bounds what clients send to each of its HTTP servers, and keeps running", async () => {
  const cp = await start();
  for (const url of [cp.api, cp.bootstrap, cp.health, cp.tokens]) {
    const port = portOf(url);
    const header = `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(20_000)}\r\n\r\n`;
    assert.match(await rawAnswer(port, header), /^HTTP\/1\.1 431 /, url);
    assert.match(await rawAnswer(port, "\x00\x01\x02\r\n\r\n"), /^HTTP\/1\.1 400 /, url);
    const announced = `POST /bootstrap HTTP/1.1\r\nHost: a\r\nContent-Length: ${2 ** 20 + 1}\r\n\r\n`;
    assert.match(await rawAnswer(port, announced), /^HTTP\/1\.1 413 /, url);
  }
  const big = { ...ownMesh, body: JSON.stringify({ type: "Mesh", name: "m", x: "y".repeat(2 ** 20) }) };
  assert.is(await status(`${cp.api}/meshes/m`, big), 413);
  assert.is(await put(cp.api, "/meshes/m", { type: "Mesh", name: "m" }), 201);
});

test("logs one JSON object a line when asked to, and nothing at all with --log-level off", async () => {
  const loud = startProgram("kuma-cp", ["run", "--log-format", "json"], anyPorts);
  let errors = "";
  loud.child.stderr?.on("data", (chunk: Buffer) => {
    errors += chunk.toString();
  });
  await eventually("it is ready", () => loud.output().includes("Next, in another terminal"));
  await loud.stop();
  for (const line of errors.trim().split("\n")) {
    const { ts, level, logger, msg } = JSON.parse(line) as Record<string, unknown>;
    assert.ok(
      [ts, level, logger, msg].every((value) => typeof value === "string"),
      line,
    );
  }
  const quiet = startProgram("kuma-cp", ["run", "--log-level", "off"], anyPorts);
  let said = "";
  quiet.child.stderr?.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  await eventually("it is ready", () => quiet.output().includes("Next, in another terminal"));
  await quiet.stop();
  assert.is(said, "");
});

test("names every setting that cannot be used, alone and all together", async () => {
  const wrong = {
    KUMA_STORE_TYPE: "bogus",
    KUMA_XDS_SERVER_GRPC_PORT: "http",
    KUMA_API_SERVER_READ_ONLY: "perhaps",
    KUMA_API_SERVER_INTERFACE: "everywhere",
    KUMA_XDS_SERVER_DATAPLANE_STATUS_FLUSH_INTERVAL: "soon",
    KUMA_ENVIRONMENT: "mars",
    KUMA_DEFAULTS_MESH: "mtls: 7",
  };
  const all = await refused(wrong);
  assert.is(all.match(/^Error: /gm)?.length, 1, all);
  for (const [name, value] of Object.entries(wrong)) {
    assert.match(all, name);
    assert.match(await refused({ [name]: value }), name);
  }
});

test("gives two control planes on one machine different ports, and frees them when it stops", async () => {
  const both = [await start(), await start()];
  const ports = both.flatMap((cp) => [cp.xdsPort, ...[cp.api, cp.bootstrap, cp.health, cp.tokens].map(portOf)]);
  assert.is(new Set(ports).size, 10);
  const [first] = both;
  assert.ok(first);
  assert.is(await first.stop(), 0);
  const again = await start({
    KUMA_API_SERVER_PORT: String(portOf(first.api)),
    KUMA_BOOTSTRAP_SERVER_PORT: String(portOf(first.bootstrap)),
    KUMA_XDS_SERVER_GRPC_PORT: String(first.xdsPort),
    KUMA_XDS_SERVER_DIAGNOSTICS_PORT: String(portOf(first.health)),
    KUMA_DATAPLANE_TOKEN_SERVER_LOCAL_PORT: String(portOf(first.tokens)),
  });
  assert.equal(
    [again.api, again.bootstrap, again.health, again.tokens, again.xdsPort],
    [first.api, first.bootstrap, first.health, first.tokens, first.xdsPort],
  );
});

test("is not delayed at shutdown by connections that send nothing or half a request, on any port", async () => {
  const cp = await start();
  const sockets: net.Socket[] = [];
  const ports = [portOf(cp.api), portOf(cp.bootstrap), portOf(cp.health), portOf(cp.tokens), cp.xdsPort, cp.sdsPort];
  const halfOfARequest = "PUT /meshes/m HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{";
  const beginningOfAHandshake = "\x16\x03\x01\x02\x00\x01";
  for (const port of ports) {
    for (const text of ["", halfOfARequest, beginningOfAHandshake]) {
      const socket = net.connect(port, "127.0.0.1", () => socket.write(text));
      socket.on("error", () => socket.destroy());
      sockets.push(socket);
      await eventually("it is connected", () => socket.readyState !== "opening");
    }
  }
  assert.is(await status(`${cp.api}/`), 200);
  cp.child.kill("SIGTERM");
  // Each of these connections would be closed for its silence after ten seconds.
  await eventually("it ends", () => cp.child.exitCode !== null, 9_000);
  assert.is(await cp.ended, 0, cp.output());
  for (const socket of sockets) socket.destroy();
});

test("logs once that proxies approach the limit of open files, before connections are refused", async () => {
  const cp = await startControlPlane({}, 200);
  running.push(cp);
  const proxies: http2.ClientHttp2Session[] = [];
  const dial = async () => {
    const session = http2.connect(`http://127.0.0.1:${cp.xdsPort}`);
    session.on("error", () => {});
    proxies.push(session);
    const stream = session.request({ ":method": "POST", ":path": deltaMethod, "content-type": "application/grpc" });
    stream.on("error", () => {});
    stream.write(
      firstRequest(`default.proxy-${proxies.length}`, "type.googleapis.com/envoy.config.cluster.v3.Cluster"),
    );
    await once(session, "remoteSettings");
  };
  const warnings = () => cp.output().match(/\tWARN\t.*close to its limit of open files.*/g) ?? [];
  for (let count = 0; count < 100; count++) await dial();
  assert.is(await status(`${cp.health}/ready`), 200);
  assert.equal(warnings(), []);
  for (let count = 0; count < 20; count++) await dial();
  await eventually("it says so", () => warnings().length > 0);
  assert.match(warnings()[0] ?? "", /LimitNOFILE.*openFiles.*200/);
  assert.is(await status(`${cp.health}/ready`), 200);
  assert.is(warnings().length, 1);
  for (const session of proxies) session.destroy();
});

test("loses its memory store when it exits, and starts with the default mesh of its settings", async () => {
  const first = await start();
  assert.is(await status(`${first.api}/meshes/m`, ownMesh), 201);
  await first.stop();
  const logging = "logging: {backends: [{name: f, file: {path: /tmp/f}}]}";
  const second = await start({ KUMA_DEFAULTS_MESH: `type: Mesh\nname: ignored\n${logging}` });
  assert.equal(await (await fetch(`${second.api}/meshes`)).json(), {
    items: [
      {
        type: "Mesh",
        name: "default",
        mtls: { ca: { builtin: {} } },
        logging: { backends: [{ name: "f", file: { path: "/tmp/f" } }] },
      },
    ],
  });
});

test.run();
