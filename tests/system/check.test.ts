import { generateKeyPairSync } from "node:crypto";
import fs from "node:fs";
import { createServer, type IncomingHttpHeaders } from "node:http";
import net from "node:net";
import path from "node:path";
import jwt from "jsonwebtoken";
import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import { anyPorts, bin, startControlPlane, startProgram } from "../support/executable.js";
import { type Http2Proxy, startHttp2Proxy } from "../support/http2-proxy.js";
import { type MeshStage, openMeshStage, reaches } from "../support/mesh-stage.js";
import { freePort } from "../support/ports.js";
import { suite } from "../support/suite.js";
import { configDirs, envoyOf } from "./dp-stage.js";

const test = suite("kumactl check names each cause when a test breaks it", { needs: "envoy" });

/** Certificates live this long, so that one is renewed while a test waits. */
const certificateSeconds = 30;
const lifeMs = certificateSeconds * 1000;

let stage: MeshStage;
let balancer: Http2Proxy;

test.before(async () => {
  balancer = await startHttp2Proxy();
  stage = await openMeshStage({
    KUMA_CA_BUILTIN_WORKLOAD_CERT_VALIDITY: `${certificateSeconds}s`,
    KUMA_BOOTSTRAP_SERVER_PARAMS_XDS_PORT: String(balancer.port),
  });
  balancer.target = stage.cp.xdsPort;
});
test.after(async () => {
  await stage.close();
  await balancer.close();
});

interface Finding {
  readonly id: string;
  readonly description: string;
  readonly result: "success" | "warning" | "error" | "skipped";
  readonly detail?: string;
  readonly reason?: string;
  readonly fix?: string;
  readonly hint: string;
}

interface Checked {
  readonly code: number | null;
  readonly success: boolean;
  /** A finding by the check's id; fails the test when there is none. */
  find(id: string): Finding;
  /** Ids of checks with this result. */
  all(result: Finding["result"]): string[];
}

let configs = 0;

/** A configuration file of kumactl that leads to the address. */
function configFor(address: string): string {
  const file = path.join(stage.temporary, `check-config-${configs++}`);
  const controlPlanes = [{ name: "c", coordinates: { apiServer: { url: address } } }];
  fs.writeFileSync(
    file,
    JSON.stringify({ contexts: [{ name: "c", controlPlane: "c" }], controlPlanes, currentContext: "c" }),
  );
  return file;
}

/** Beside this process, not in its way: servers of this process may have to answer. */
async function check(
  address: string,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<Checked> {
  const words = ["--config-file", configFor(address), "check", "-o", "json", ...args];
  const running = startProgram("kumactl", words, env);
  const code = await running.ended;
  const document: { success: boolean; categories: { checks: Finding[] }[] } = JSON.parse(running.output());
  const findings = document.categories.flatMap(({ checks }) => checks);
  return {
    code,
    success: document.success,
    find(id) {
      const finding = findings.find((one) => one.id === id);
      assert.ok(finding, `nothing was found of ${id}`);
      return finding as Finding;
    },
    all: (result) => findings.flatMap((one) => (one.result === result ? [one.id] : [])),
  };
}

/** Waits until a check has this result, and gives what it found. */
const until = (id: string, result: Finding["result"], address = stage.cp.api) =>
  eventually(`${id}: ${result}`, async () => {
    const finding = (await check(address)).find(id);
    if (finding.result !== result) throw new Error(`${finding.result}: ${finding.reason ?? ""}`);
    return finding;
  });

/** Free ports for a control plane that will not, or should not, start. */
async function someFreePorts(): Promise<Record<string, string>> {
  const ports: Record<string, string> = {};
  for (const variable of Object.keys(anyPorts)) ports[variable] = String(await freePort());
  return ports;
}

const inbound = (port: number, service: string) => ({
  inbound: [{ interface: `127.0.0.1:${port}:1`, tags: { service } }],
});

test("nothing: a control plane without a dataplane, and Envoy beside the executable", async () => {
  const { code, success, all, find } = await check(stage.cp.api);
  assert.equal(
    { code, success, bad: [...all("error"), ...all("warning"), ...all("skipped")] },
    { code: 0, success: true, bad: [] },
  );
  assert.is(find("envoy").detail, fs.realpathSync(path.join(bin, "envoy")));
  assert.is(find("mesh").detail, "default: mTLS off");
});

test("the table shows the same", async () => {
  const running = startProgram("kumactl", ["--config-file", configFor(stage.cp.api), "check"], { LC_ALL: "C.UTF-8" });
  assert.is(await running.ended, 0);
  const text = running.output();
  assert.match(text, `control plane\n√ kumactl knows which control plane to ask (${stage.cp.api})\n`);
  assert.match(text, /\n√ all is well\n$/);
});

test("a stopped control plane", async () => {
  const cp = await startControlPlane();
  assert.is((await check(cp.api)).find("reachable").result, "success");
  await cp.stop();
  const { code, find, all } = await check(cp.api, [], await someFreePorts());
  assert.is(code, 1);
  assert.equal(all("error"), ["reachable"]);
  assert.match(find("reachable").reason ?? "", /ECONNREFUSED/);
  assert.match(find("reachable").fix ?? "", /kuma-cp run/);
  assert.match(find("connected").reason ?? "", "skipped until the control plane answers");
  assert.is(find("port-xds").result, "success");
});

test("a control plane that hangs", async () => {
  const cp = await startControlPlane();
  try {
    cp.child.kill("SIGSTOP");
    const { find } = await check(cp.api, [], await someFreePorts());
    assert.match(find("reachable").reason ?? "", "no answer within 5s");
  } finally {
    cp.child.kill("SIGCONT");
    await cp.stop();
  }
});

test("a port that another server has, so that the control plane does not start", async () => {
  const ports = await someFreePorts();
  const taken = Number(ports.KUMA_XDS_SERVER_GRPC_PORT);
  const server = net.createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(taken, "127.0.0.1", resolve));
  try {
    const cp = startProgram("kuma-cp", ["run"], ports);
    assert.is(await cp.ended, 1);
    for (const words of [[], ["--pre"]]) {
      const { code, find, all } = await check(`http://127.0.0.1:${ports.KUMA_API_SERVER_PORT}`, words, ports);
      assert.is(code, 1);
      assert.equal(all("error"), words.length === 0 ? ["port-xds", "reachable"] : ["port-xds"]);
      const { reason, fix } = find("port-xds");
      assert.is(reason, `port ${taken} is taken by node (process ${process.pid})`);
      assert.match(fix ?? "", /KUMA_XDS_SERVER_GRPC_PORT/);
    }
  } finally {
    server.close();
  }
  const { code, all } = await check("http://127.0.0.1:1", ["--pre"], ports);
  assert.equal({ code, errors: all("error") }, { code: 0, errors: [] });
});

test("another server at the control plane's address", async () => {
  const server = createServer((_, response) => response.end("It works!"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as net.AddressInfo;
  const ports = { ...(await someFreePorts()), KUMA_API_SERVER_PORT: String(port) };
  const { code, find } = await check(`http://127.0.0.1:${port}`, [], ports);
  server.close();
  assert.is(code, 1);
  assert.match(find("kuma").reason ?? "", `something else answers at http://127.0.0.1:${port} (status 200)`);
  assert.match(find("port-api").reason ?? "", `port ${port} is taken by node`);
});

/** The stage's control plane, whose answers pass through `change` on their way. */
async function changed(
  change: (url: string, headers: IncomingHttpHeaders & Record<string, unknown>, body: string) => string,
  look: (address: string) => Promise<void>,
): Promise<void> {
  const server = createServer(async (request, response) => {
    const answer = await fetch(`${stage.cp.api}${request.url}`);
    const headers = { date: answer.headers.get("date") ?? "", "content-type": "application/json" };
    const body = change(request.url ?? "", headers, await answer.text());
    response.writeHead(answer.status, headers).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await look(`http://127.0.0.1:${(server.address() as net.AddressInfo).port}`);
  } finally {
    server.close();
  }
}

test("a control plane of another version", () =>
  changed(
    (url, _, body) => (url === "/" ? JSON.stringify({ ...JSON.parse(body), version: "9.9.9" }) : body),
    async (address) => {
      const { code, find, all } = await check(address);
      assert.is(code, 1);
      assert.equal(all("error"), ["version"]);
      assert.match(find("version").reason ?? "", /^the control plane is 9\.9\.9, kumactl is \d+\.\d+\.\d+$/);
    },
  ));

for (const [seconds, result, expected] of [
  [90, "error", /ahead of this machine's/],
  [-90, "error", /behind this machine's/],
  [30, "warning", /ahead of this machine's/],
] as const) {
  test(`clocks that differ by ${seconds} seconds`, () =>
    changed(
      (_url, headers, body) => {
        headers.date = new Date(Date.now() + seconds * 1000).toUTCString();
        return body;
      },
      async (address) => {
        const { code, find } = await check(address);
        assert.is(code, result === "error" ? 1 : 0);
        assert.is(find("clock").result, result);
        assert.match(find("clock").reason ?? "", expected);
      },
    ));
}

test("an Envoy that asks for a newer C library than there is", async () => {
  // The loader looks versions up by their names: one that no libc has is what an old libc has of a newer one.
  const source = ["/bin/true", "/usr/bin/true"].find((file) => fs.existsSync(file)) ?? process.execPath;
  const text = fs.readFileSync(source).toString("latin1");
  const asked = /GLIBC_2\.(?=\d\d\0)/g;
  assert.match(text, asked);
  const envoy = path.join(stage.temporary, "envoy-of-tomorrow");
  fs.writeFileSync(envoy, Buffer.from(text.replaceAll(asked, "GLIBC_9."), "latin1"), { mode: 0o755 });
  const { code, find } = await check(stage.cp.api, ["--pre"], {
    ...(await someFreePorts()),
    KUMA_DATAPLANE_RUNTIME_BINARY_PATH: envoy,
  });
  assert.is(code, 1);
  assert.match(
    find("envoy").reason ?? "",
    /cannot run here: this machine's C library is too old for it: .*glibc 9\.\d+/,
  );
});

test("a missing mesh", async () => {
  const { code, all, find } = await check(stage.cp.api, ["--mesh=nowhere"]);
  assert.equal({ code, errors: all("error") }, { code: 1, errors: ["mesh"] });
  assert.match(find("mesh").reason ?? "", 'there is no mesh "nowhere"');
});

test("a dataplane that never connected, and then one that is offline", async () => {
  const port = await freePort();
  await stage.apply("shy-1", inbound(port, "shy"));
  const { code, find, all } = await check(stage.cp.api);
  assert.equal({ code, errors: all("error") }, { code: 1, errors: ["connected"] });
  assert.match(
    find("connected").reason ?? "",
    '"shy-1" in mesh "default" is registered, but its proxy has never connected',
  );
  assert.match(find("connected").fix ?? "", "kuma-dp run --name=shy-1 --mesh=default");
  const sidecar = await stage.sidecar("shy-1", { token: "" });
  await until("connected", "success");
  assert.is((await check(stage.cp.api)).find("online").result, "success");
  await sidecar.stop();
  assert.match((await until("online", "error")).reason ?? "", /"shy-1" in mesh "default" is offline since 20/);
  await stage.remove("/meshes/default/dataplanes/shy-1");
  assert.is((await check(stage.cp.api)).code, 0);
});

test("an Envoy that rejects its configuration, with its error message", async () => {
  const port = await freePort();
  const other = net.createServer();
  await new Promise<void>((resolve) => other.listen(port, "127.0.0.1", resolve));
  await stage.apply("greedy-1", inbound(port, "greedy"));
  const sidecar = await stage.sidecar("greedy-1", { token: "" });
  const { reason } = await until("configuration", "error");
  assert.match(
    reason ?? "",
    new RegExp(
      `^Envoy of "greedy-1" in mesh "default" refuses LDS resource "inbound:127\\.0\\.0\\.1:${port}": .*cannot bind`,
    ),
  );
  other.close();
  await sidecar.stop();
  await stage.remove("/meshes/default/dataplanes/greedy-1");
});

test("a dataplane without a token, while other machines can change nothing", async () => {
  await stage.mtls(true);
  await stage.permit("everybody", ["*"], ["*"]);
  await until("api-exposure", "success");
  await stage.apply("poor-1", inbound(await freePort(), "poor"));
  const sidecar = await stage.sidecar("poor-1", { token: "" });
  const { reason, fix } = await until("token", "error");
  assert.match(reason ?? "", /^"poor-1" in mesh "default" was refused .*, and has none: .*there is no token$/);
  assert.match(fix ?? "", "kumactl generate dataplane-token --name=poor-1 --mesh=default");
  assert.is((await check(stage.cp.api)).code, 1);
  await sidecar.stop();
  await stage.remove("/meshes/default/dataplanes/poor-1");
});

test("the token of another dataplane in its file, a forged one at the control plane, until the right one is put there", async () => {
  const file = path.join(stage.temporary, "check-token");
  fs.writeFileSync(file, await stage.token("rich-1"));
  const looked = () => check(stage.cp.api, ["--token-file", file, "--name=false-1"]);
  assert.is(
    (await looked()).find("token-file").reason,
    'the token is for dataplane "rich-1" in mesh "default", and not for "false-1" in mesh "default"',
  );
  await stage.apply("false-1", inbound(await freePort(), "false"));
  // kuma-dp would refuse another dataplane's token; that a signature is wrong only the control plane can tell.
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  fs.writeFileSync(file, jwt.sign({ Name: "false-1", Mesh: "default" }, privateKey, { algorithm: "RS256" }));
  const sidecar = await stage.sidecar("false-1", { token: "", env: { KUMA_DATAPLANE_RUNTIME_TOKEN_PATH: file } });
  assert.match((await until("token", "error")).reason ?? "", /its signature is wrong$/);

  fs.writeFileSync(file, await stage.token("false-1"));
  assert.is((await looked()).find("token-file").result, "success");
  // Envoy waits for up to half a minute before it asks again.
  await until("token", "success");
  await until("certificate", "success");
  await sidecar.stop();
  await stage.remove("/meshes/default/dataplanes/false-1");
});

/** When the certificate that a proxy took last expires. */
async function expiryOf(name: string): Promise<number> {
  const response = await fetch(`${stage.cp.api}/meshes/default/dataplanes+insights/${name}`);
  const { dataplaneInsight } = (await response.json()) as {
    dataplaneInsight?: { mTLS?: { certificateExpirationTime?: string } };
  };
  return Date.parse(dataplaneInsight?.mTLS?.certificateExpirationTime ?? "");
}

/** Looks at the stage's control plane as if its clock, which issues the certificates, showed this time. */
const atTime = (time: number, look: (address: string) => Promise<void>) =>
  changed((_url, headers, body) => {
    headers.date = new Date(time).toUTCString();
    return body;
  }, look);

// Behind a load balancer it stays online, however long it hangs: connected directly it would leave one of the control
// plane's pings unanswered. How long a look takes must not matter either, so the clock is the test's.
test("a certificate that is not renewed, near its end and after it, by a proxy that hangs", async () => {
  const [port, out] = [await freePort(), await freePort()];
  const application = await stage.application("frozen");
  await stage.apply("frozen-1", {
    inbound: [{ interface: `127.0.0.1:${port}:${application.port}`, tags: { service: "frozen" } }],
    outbound: [{ interface: `:${out}`, service: "frozen" }],
  });
  const sidecar = await stage.sidecar("frozen-1");
  await reaches(out, "frozen");
  await until("certificate-renewal", "success");
  await eventually("its certificate is new", async () => (await expiryOf("frozen-1")) - Date.now() > 0.7 * lifeMs);
  const [directory, ...others] = configDirs(stage.temporary);
  assert.equal(others, [], "the sidecars of other tests have ended");
  const envoy = await envoyOf(directory ?? "");
  process.kill(envoy, "SIGSTOP");
  const expiry = await expiryOf("frozen-1");
  try {
    // When a tenth of its life is left it should have been renewed.
    await atTime(expiry - lifeMs / 15, async (address) => {
      const { reason } = await until("certificate-renewal", "warning", address);
      assert.match(
        reason ?? "",
        /^the certificate of "frozen-1" in mesh "default" expires in [\d.]+m?s, and should have been/,
      );
    });
    await atTime(expiry + 2_000, async (address) => {
      const { reason } = await until("certificate-expiry", "error", address);
      assert.match(reason ?? "", /^the certificate of "frozen-1" in mesh "default" expired at 20/);
    });
  } finally {
    process.kill(envoy, "SIGCONT");
  }
  await atTime(expiry + 2_000, async (address) => {
    await until("certificate-expiry", "success", address);
  });
  await sidecar.stop();
  await stage.remove("/meshes/default/dataplanes/frozen-1");
  await stage.mtls(false);
  const { code, all } = await check(stage.cp.api);
  assert.equal({ code, errors: all("error") }, { code: 0, errors: [] });
});

test.run();
