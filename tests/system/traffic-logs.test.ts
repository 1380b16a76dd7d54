import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import { put } from "../support/executable.js";
import { type MeshStage, openMeshStage, reaches, type Sidecar } from "../support/mesh-stage.js";
import { freePort } from "../support/ports.js";
import { suite } from "../support/suite.js";

const test = suite("traffic logs of real sidecars", { needs: "envoy" });

let stage: MeshStage;
let backend: Sidecar;
let idle: Sidecar;
const ports = { redis: 0, backend: 0, idle: 0, out: 0, other: 0 };

test.before(async () => {
  for (const key of Object.keys(ports) as (keyof typeof ports)[]) ports[key] = await freePort();
  stage = await openMeshStage();
  const app = await stage.application("redis-1");
  await stage.apply("redis-1", {
    inbound: [{ interface: `127.0.0.1:${ports.redis}:${app.port}`, tags: { service: "redis" } }],
  });
  await stage.apply("backend-1", {
    inbound: [{ interface: `127.0.0.1:${ports.backend}:1`, tags: { service: "backend" } }],
    outbound: [{ interface: `:${ports.out}`, service: "redis" }],
  });
  await stage.apply("idle-1", {
    inbound: [{ interface: `127.0.0.1:${ports.idle}:1`, tags: { service: "idle" } }],
    outbound: [{ interface: `:${ports.other}`, service: "nobody" }],
  });
  await stage.sidecar("redis-1", { token: "" });
  backend = await stage.sidecar("backend-1", { token: "" });
  idle = await stage.sidecar("idle-1", { token: "" });
  await reaches(ports.out, "redis-1");
  await eventually("the idle one listens", async () => (await idle.ask("/listeners")).includes(`:${ports.other}`));
});
test.after(() => stage.close());

interface Backend {
  readonly name: string;
  readonly format?: string;
  readonly file?: { readonly path: string };
  readonly tcp?: { readonly address: string };
}

const mesh = (backends: readonly Backend[], defaultBackend = "") =>
  put(stage.cp.api, "/meshes/default", { type: "Mesh", name: "default", logging: { defaultBackend, backends } });

const select = (service: string) => [{ match: { service } }];

/** Logs the connections from `backend` to `redis`, or from and to everybody. */
const log = (name: string, conf?: string, service?: "*") =>
  put(stage.cp.api, `/meshes/default/traffic-logs/${name}`, {
    type: "TrafficLog",
    mesh: "default",
    name,
    rules: [
      {
        sources: select(service ?? "backend"),
        destinations: select(service ?? "redis"),
        ...(conf === undefined ? {} : { conf: { backend: conf } }),
      },
    ],
  });

async function unlog(...names: readonly string[]): Promise<void> {
  for (const name of names) await stage.remove(`/meshes/default/traffic-logs/${name}`);
}

let files = 0;

/** A file of its own for each test. */
function logFile() {
  files += 1;
  const file = path.join(stage.temporary, `access-${files}.log`);
  return { file: { path: file }, lines: () => (fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "").split("\n") };
}

/** What backend-1 logs connections to redis by, as Envoy has it. */
async function paths(): Promise<string> {
  const dump = JSON.parse(await backend.ask("/config_dump?resource=dynamic_listeners")) as {
    readonly configs?: readonly { readonly name: string; readonly active_state?: unknown }[];
  };
  const outbound = dump.configs?.find(({ name }) => name.startsWith("outbound"))?.active_state;
  return [...JSON.stringify(outbound ?? "").matchAll(/"path":"([^"]*)"/g)].map(([, file]) => file).join();
}

const loggedTo = (...expected: readonly string[]) =>
  eventually(`backend-1 logs to ${expected.join(" and ")}`, async () => (await paths()) === expected.join());

/** Carries a line to redis-1 and back; resolves when the connection has ended. */
function carry(line: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let received = "";
    const socket = net.connect(ports.out, "127.0.0.1", () => socket.write(`${line}\n`));
    socket.on("data", (chunk) => {
      received += chunk.toString();
      if (received === `redis-1\n${line}\n`) socket.end();
    });
    socket.on("error", reject);
    socket.on("close", () =>
      received.endsWith(`${line}\n`) ? resolve() : reject(new Error(`received "${received}"`)),
    );
  });
}

/** An application that takes lines. */
async function collector(port = 0) {
  let text = "";
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy()).on("data", (chunk) => (text += chunk.toString()));
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    port: (server.address() as net.AddressInfo).port,
    lines: () => text.split("\n"),
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test("a rule without a backend logs nothing, is reported once, and affects nothing else", async () => {
  const { file } = logFile();
  await mesh([{ name: "file", file }]);
  assert.is(await log("no-default"), 201);
  assert.is(await log("no-such", "logstash"), 201);
  const said = (name: string) =>
    stage.cp
      .output()
      .split("\n")
      .filter((line) => line.includes("has no effect") && line.includes(`"${name}"`)).length;
  await eventually("kuma-cp says so", () => said("no-default") > 0 && said("no-such") > 0);
  await mesh([
    { name: "file", file },
    { name: "other", file },
  ]);
  await carry("unlogged");
  assert.is(await paths(), "");
  assert.equal([said("no-default"), said("no-such")], [1, 1]);
  await unlog("no-default", "no-such");
});

test("a connection is logged in one line at its source when it ends, in the documented format", async () => {
  const { file, lines } = logFile();
  const before = await idle.ask("/stats?filter=listener_manager.lds.update_attempt");
  await mesh([{ name: "file", file }], "file");
  await log("all", undefined, "*");
  await loggedTo(file.path);
  await carry("ping");
  await eventually("its line", () => lines().length > 1);
  await carry("pong pong");
  await eventually("the next line", () => lines().length > 2);
  const line = (sent: number, received: number) =>
    new RegExp(
      `^\\[\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z\\] 127\\.0\\.0\\.1:0\\(backend\\)->127\\.0\\.0\\.1:${ports.redis}\\(redis\\) took \\d+ms, sent ${sent} bytes, received: ${received} bytes$`,
    );
  const [first = "", second = "", last, ...others] = lines();
  // redis-1 greets, and sends back what it got.
  assert.match(first, line(8 + 5, 5));
  assert.match(second, line(8 + 10, 10));
  assert.equal([last, others], ["", []]);
  await unlog("all");
  await loggedTo("");
  await log("only-backend", "file");
  await loggedTo(file.path);
  await unlog("only-backend");
  await loggedTo("");
  assert.not.equal(
    before,
    await idle.ask("/stats?filter=listener_manager.lds.update_attempt"),
    "it logged for a while",
  );
});

test("sidecars that are not affected get nothing", async () => {
  const { file } = logFile();
  const attempts = () => idle.ask("/stats?filter=listener_manager.lds.update_attempt");
  await log("redis", "file");
  // What it has still to hear of is from the test before.
  await stage.settled("idle-1");
  const before = await attempts();
  await mesh([{ name: "file", file, format: "one" }]);
  await loggedTo(file.path);
  await mesh([{ name: "file", file, format: "another" }], "file");
  await log("redis");
  await carry("x");
  await unlog("redis");
  await loggedTo("");
  assert.is(await attempts(), before);
});

test("the documented format writes JSON, one line per connection", async () => {
  const { file, lines } = logFile();
  const format =
    '{ "destination": "%KUMA_DESTINATION_SERVICE%", "destinationAddress": "%UPSTREAM_LOCAL_ADDRESS%", "source": "%KUMA_SOURCE_SERVICE%", "sourceAddress": "%KUMA_SOURCE_ADDRESS%", "bytesReceived": "%BYTES_RECEIVED%", "bytesSent": "%BYTES_SENT%"}';
  await mesh([{ name: "json", format, file }], "json");
  await log("json");
  await loggedTo(file.path);
  for (const text of ["1", "22"]) await carry(text);
  await eventually("two lines", () => lines().length === 3);
  const read = lines()
    .slice(0, 2)
    .map((line) => JSON.parse(line) as Record<string, string>);
  assert.equal(
    read.map(({ source, sourceAddress, destination, bytesReceived }) => [
      source,
      sourceAddress,
      destination,
      bytesReceived,
    ]),
    [
      ["backend", "127.0.0.1:0", "redis", "2"],
      ["backend", "127.0.0.1:0", "redis", "3"],
    ],
  );
  for (const { destinationAddress } of read) assert.match(destinationAddress ?? "", /^127\.0\.0\.1:\d+$/);
  await unlog("json");
});

test("a collector gets the same lines as a file, also after an outage, and traffic never waits for it", async () => {
  const { file, lines } = logFile();
  const first = await collector();
  const format = "%BYTES_RECEIVED% of %KUMA_SOURCE_SERVICE%\nto %UPSTREAM_HOST%";
  await mesh([
    { name: "file", format, file },
    { name: "tcp", format, tcp: { address: `127.0.0.1:${first.port}` } },
  ]);
  await log("to-file", "file");
  await log("to-tcp", "tcp");
  await loggedTo(file.path, "access-logs.fifo");
  for (const text of ["a", "bb", "ccc"]) await carry(text);
  await eventually("all lines", () => lines().length === 7 && first.lines().length === 7);
  assert.equal(first.lines(), lines());
  await first.close();
  await carry("nobody listens");
  await eventually("its lines are in the file", () => lines().length === 9);
  const second = await collector(first.port);
  await eventually("lines come again", async () => {
    await carry("again");
    return second.lines().some((line) => line.startsWith("6 of backend"));
  });
  await unlog("to-file", "to-tcp");
  await loggedTo("");
  await second.close();
});

test("rules add up: one line in each of their backends, also when two name the same one", async () => {
  const [one, two] = [logFile(), logFile()];
  await mesh(
    [
      { name: "one", format: "1", file: one.file },
      { name: "two", format: "2", file: two.file },
    ],
    "one",
  );
  await log("a", "two");
  await log("b", "one");
  await log("c");
  await log("d", undefined, "*");
  await loggedTo(one.file.path, two.file.path);
  await carry("x");
  await eventually("both lines", () => one.lines().length > 1 && two.lines().length > 1);
  await carry("y");
  await eventually("both lines again", () => one.lines().length > 2 && two.lines().length > 2);
  assert.equal(
    [one.lines(), two.lines()],
    [
      ["1", "1", ""],
      ["2", "2", ""],
    ],
  );
  await unlog("b", "c", "d");
});

test("removing the backend or the rule stops the log, not the connections", async () => {
  const { file, lines } = logFile();
  await mesh(
    [
      { name: "one", format: "1", file },
      { name: "two", format: "2", file },
    ],
    "one",
  );
  await log("a", "two");
  await loggedTo(file.path);
  await mesh([{ name: "one", format: "1", file }], "one");
  await loggedTo("");
  await carry("unlogged");
  await log("a", "one");
  await loggedTo(file.path);
  await unlog("a");
  await loggedTo("");
  await carry("unlogged, too");
  assert.equal(lines(), [""]);
});

test("a format that Envoy would reject is rejected with the position", async () => {
  const response = await fetch(`${stage.cp.api}/meshes/default`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      type: "Mesh",
      name: "default",
      logging: { backends: [{ name: "a", format: "%NOPE(%", file: { path: "/dev/null" } }] },
    }),
  });
  assert.is(response.status, 400);
  assert.match(await response.text(), /"logging\.backends\[0\]\.format".*malformed operator/s);
});

test("no resource was rejected", () => assert.is(stage.kumactl("inspect", "dataplanes").stderr, ""));

test("a file outside the directories that a sidecar allows is not written, and that is reported", async () => {
  const [inside, outside] = [logFile(), { file: { path: "/var/tmp/kuma-outside/access.log" } }];
  assert.is(
    await mesh(
      [
        { name: "in", ...inside },
        { name: "out", ...outside },
      ].map(({ name, file }) => ({ name, file })),
    ),
    200,
  );
  await log("in", "in");
  await log("out", "out");
  await loggedTo(inside.file.path);
  await eventually("kuma-cp says so", () =>
    /logging\.backends\[1\]\.file\.path".*allow no log file/.test(stage.cp.output()),
  );
  const { stdout } = stage.kumactl("inspect", "dataplane", "backend-1", "--policies");
  assert.match(stdout, /out .*no: the dataplane allows no log file there/);
  const explained = stage.kumactl("explain", "traffic", "--from=backend", "--to=redis").stdout;
  assert.match(explained, 'connections of backend-1 are not logged by backend "out"');
  await unlog("in", "out");
});

test("a second kuma-dp that names its own directories logs there", async () => {
  await backend.stop();
  const allowed = path.join(stage.temporary, "logs");
  fs.mkdirSync(allowed);
  backend = await stage.sidecar("backend-1", { token: "", env: { KUMA_DATAPLANE_LOG_DIRECTORIES: allowed } });
  await reaches(ports.out, "redis-1");
  const file = path.join(allowed, "access.log");
  const other = logFile();
  assert.is(
    await mesh([
      { name: "in", file: { path: file } },
      { name: "out", file: other.file },
    ]),
    200,
  );
  await log("in", "in");
  await log("out", "out");
  await loggedTo(file);
  await carry("hello");
  await eventually("a line", () => fs.readFileSync(file, "utf8").includes("(backend)->"));
  assert.not(fs.existsSync(other.file.path));
  await unlog("in", "out");
});

test.run();
