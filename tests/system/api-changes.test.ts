import { spawnSync } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { bin, type ControlPlane, runProgram, startControlPlane, startProgram } from "../support/executable.js";
import { suite } from "../support/suite.js";

const test = suite("changes through the HTTP API of a running control plane");
const fromElsewhere = suite("changes from another machine", { needs: ["root", "ip"] });

/** A machine of its own, by a network namespace: what it sends comes from another address than ours. */
const other = {
  namespace: `kuma-${process.pid}`,
  link: `kma${process.pid}`.slice(0, 12),
  ours: "10.213.7.1",
  theirs: "10.213.7.2",
};

const ip = (...args: readonly string[]) => spawnSync("ip", args, { encoding: "utf8" });
let cp: ControlPlane;
let open: ControlPlane;

for (const each of [test, fromElsewhere]) {
  each.before(async () => {
    [cp, open] = await Promise.all([startControlPlane(), startControlPlane({ KUMA_API_SERVER_AUTHN_TYPE: "none" })]);
  });
  each.after(async () => {
    await Promise.all([cp.stop(), open.stop()]);
  });
}

fromElsewhere.before.each(() => {
  const { namespace, link, ours, theirs } = other;
  for (const words of [
    `netns add ${namespace}`,
    `link add ${link} type veth peer name eth0 netns ${namespace}`,
    `addr add ${ours}/30 dev ${link}`,
    `link set ${link} up`,
    `-n ${namespace} addr add ${theirs}/30 dev eth0`,
    `-n ${namespace} link set eth0 up`,
    `-n ${namespace} link set lo up`,
  ]) {
    const { status, stderr } = ip(...words.split(" "));
    if (status !== 0) throw new Error(`ip ${words}: ${stderr}`);
  }
});

fromElsewhere.after.each(() => {
  ip("link", "delete", other.link);
  ip("netns", "delete", other.namespace);
});

interface Answer {
  readonly status: number;
  readonly body: string;
}

const meshBody = JSON.stringify({ type: "Mesh", name: "made" });

/** Node's own client: it sends the header lines that it is given, Host among them, and no others. */
function send(url: string, method: string, headers: Record<string, string> = {}, body = ""): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method, headers, agent: false }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body: text }));
    });
    request.on("error", reject);
    request.end(body);
  });
}

const portOf = (url: string) => new URL(url).port;
const json = { "content-type": "application/json" };

test("are taken from this machine, by IPv4 and without a proxy", async () => {
  assert.is((await send(`${cp.api}/meshes/made`, "PUT", json, meshBody)).status, 201);
  assert.is((await send(`${cp.api}/meshes/made`, "DELETE")).status, 200);
  for (const name of ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"]) {
    const refused = await send(`${cp.api}/meshes/made`, "PUT", { ...json, [name]: "192.0.2.1" }, meshBody);
    assert.is(refused.status, 403, name);
    assert.match(refused.body, /came through a proxy.*KUMA_API_SERVER_AUTHN_TYPE=none/);
    assert.is((await send(`${cp.api}/meshes`, "GET", { [name]: "192.0.2.1" })).status, 200);
    const token = await send(`${cp.tokens}/tokens`, "POST", { [name]: "192.0.2.1" }, '{"name":"a","mesh":"default"}');
    assert.is(token.status, 403, `a token by ${name}`);
  }
  assert.is((await send(`${cp.api}/meshes/made`, "GET")).status, 404);
});

fromElsewhere("are refused with what to do, and reading is not", async () => {
  const home = fs.mkdtempSync(path.join(os.tmpdir(), "kumactl-elsewhere-"));
  const inside = (...words: readonly string[]) =>
    spawnSync("ip", ["netns", "exec", other.namespace, ...words], {
      encoding: "utf8",
      timeout: 120_000,
      env: { ...process.env, HOME: home },
    });
  const address = `http://${other.ours}:${portOf(cp.api)}`;
  // kumactl, as whoever holds that machine would run it.
  const kumactl = (...words: readonly string[]) => inside(`${bin}/kumactl`, ...words);
  const add = (name: string, url: string) =>
    kumactl("config", "control-planes", "add", `--name=${name}`, `--address=${url}`, "--overwrite");
  const added = add("closed", address);
  assert.is(added.status, 0, added.stderr);
  assert.match(kumactl("get", "meshes").stdout, /^default /m);
  const refused = inside("sh", "-c", `echo '${meshBody}' | ${bin}/kumactl apply -f -`);
  assert.is(refused.status, 1);
  assert.match(
    refused.stderr,
    /own machine; this request came from 10\.213\.7\.2.*SSH tunnel.*KUMA_API_SERVER_AUTHN_TYPE=none/,
  );
  assert.is(kumactl("delete", "mesh", "default").status, 1);
  assert.is((await send(`${cp.api}/meshes/default`, "GET")).status, 200);

  assert.is(add("open", `http://${other.ours}:${portOf(open.api)}`).status, 0);
  const taken = inside("sh", "-c", `echo '${meshBody}' | ${bin}/kumactl apply -f -`);
  assert.is(taken.status, 0, taken.stderr);
  assert.is((await send(`${open.api}/meshes/made`, "GET")).status, 200);
  fs.rmSync(home, { recursive: true });
});

test("that are rejected are counted by reason", async () => {
  const count = async (reason: string) => {
    const { body } = await send(`${cp.health}/metrics`, "GET");
    return Number(new RegExp(`^http_requests_refused\\{reason="${reason}"\\} (\\d+)$`, "m").exec(body)?.[1]);
  };
  const [host, proxy] = [await count("host"), await count("proxy")];
  await send(`${cp.api}/meshes`, "GET", { "User-Agent": "Mozilla/5.0", Host: "evil.example" });
  await send(`${cp.api}/meshes/made`, "DELETE", { Via: "1.1 a" });
  assert.equal([await count("host"), await count("proxy")], [host + 1, proxy + 1]);
  assert.is(await count("address"), 0);
});

test("from everyone cause a warning at each start that says what it means", () => {
  assert.match(
    open.output(),
    /\tWARN\t\S+\tKUMA_API_SERVER_AUTHN_TYPE is none: .*run programs on every sidecar's host/,
  );
  assert.not.match(cp.output(), /AUTHN_TYPE is none/);
});

test("that lead to the control plane itself are refused at its real ports", async () => {
  const inbound = (port: string) => ({
    type: "Dataplane",
    mesh: "default",
    name: "d",
    networking: { inbound: [{ interface: `127.0.0.1:1234:${port}`, tags: { service: "a" } }] },
  });
  const put = (port: string) =>
    send(`${cp.api}/meshes/default/dataplanes/d`, "PUT", json, JSON.stringify(inbound(port)));
  for (const url of [cp.api, cp.tokens, cp.bootstrap, cp.health, `http://x:${cp.xdsPort}`, `http://x:${cp.sdsPort}`]) {
    const refused = await put(portOf(url));
    assert.is(refused.status, 400, url);
    assert.match(refused.body, /networking\.inbound\[0\]\.interface.*[\s\S]*of the control plane/);
  }
  assert.is((await put(portOf(open.api))).status, 201, "the port of another control plane is not known");
});

test("and reads are refused to a page that rebound its DNS name, on every server", async () => {
  const browser = { "User-Agent": "Mozilla/5.0", Host: "evil.example" };
  for (const url of [`${cp.api}/meshes`, `${cp.bootstrap}/catalogue`, `${cp.health}/metrics`, `${cp.health}/ready`]) {
    assert.is((await send(url, "GET", browser)).status, 403, url);
    assert.is((await send(url, "GET", { ...browser, Host: `localhost:${portOf(url)}` })).status, 200, url);
    assert.is((await send(url, "GET", { "User-Agent": "Prometheus/3", Host: "cp.internal" })).status, 200, url);
  }
  const token = await send(`${cp.tokens}/tokens`, "POST", browser, '{"name":"a","mesh":"default"}');
  assert.is(token.status, 403);
});

test("with CORS patterns that can't be matched quickly: the control plane does not start", async () => {
  const env = { KUMA_API_SERVER_CORS_ALLOWED_DOMAINS: "^https?://(?=a)b$" };
  const running = startProgram("kuma-cp", ["run"], env);
  assert.is(await running.ended, 1);
  assert.match(running.output(), /KUMA_API_SERVER_CORS_ALLOWED_DOMAINS contains "\^https.*RE2/);
  assert.not.match(running.output(), /is ready/);
  assert.is(runProgram("kuma-cp", ["config"]).status, 0);
  const config = startProgram("kuma-cp", ["config"], env);
  assert.is(await config.ended, 1);
});

test("and reads continue while Origins arrive that once hung the control plane", async () => {
  const guarded = await startControlPlane({
    KUMA_API_SERVER_CORS_ALLOWED_DOMAINS: "^https?://([a-z0-9]+)*\\.example\\.com$",
  });
  try {
    for (const length of [28, 32, 36, 40, 240]) {
      const signal = AbortSignal.timeout(30_000);
      const origin = `http://${"a".repeat(length)}!`;
      const answer = await fetch(`${guarded.api}/`, { headers: { origin }, signal });
      assert.equal([answer.status, answer.headers.get("access-control-allow-origin")], [200, null]);
    }
    const answer = await fetch(`${guarded.api}/`, { headers: { origin: "https://ui.example.com" } });
    assert.is(answer.headers.get("access-control-allow-origin"), "https://ui.example.com");
  } finally {
    await guarded.stop();
  }
});

test.run();
fromElsewhere.run();
