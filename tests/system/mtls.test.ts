import { X509Certificate } from "node:crypto";
import fs from "node:fs";
import net from "node:net";
import tls from "node:tls";
import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import {
  type Application,
  denies,
  greeting,
  type MeshStage,
  openMeshStage,
  reaches,
  refusal,
  type Sidecar,
} from "../support/mesh-stage.js";
import { freePort } from "../support/ports.js";
import { fetchCredentials, greetingOverTls } from "../support/secret-client.js";
import { suite } from "../support/suite.js";

const test = suite("mutual TLS between real sidecars", { needs: "envoy" });

const versions = ["TLSv1.2", "TLSv1.3"] as const;

let stage: MeshStage;
let redisApp: Application;
let redis: Sidecar;
let backend: Sidecar;
const ports = { redis: 0, redis2: 0, backend: 0, web: 0, out: 0, webOut: 0, foreign: 0, foreignOut: 0 };

const permissions = "/meshes/default/traffic-permissions";

/** Waits until an inbound takes no plaintext any more: sidecars switch independently of each other. */
const guarded = (port: number) => denies(port);

const redisDataplane = (port: number, tags: Record<string, string>) => ({
  inbound: [{ interface: `127.0.0.1:${port}:${redisApp.port}`, tags: { service: "redis", ...tags } }],
});

test.before(async () => {
  for (const key of Object.keys(ports) as (keyof typeof ports)[]) ports[key] = await freePort();
  stage = await openMeshStage();
  redisApp = await stage.application("redis-1");
  await stage.apply("redis-1", redisDataplane(ports.redis, { version: "1" }));
  for (const [name, port, out] of [
    ["backend", ports.backend, ports.out],
    ["web", ports.web, ports.webOut],
  ] as const) {
    await stage.apply(`${name}-1`, {
      inbound: [{ interface: `127.0.0.1:${port}:${redisApp.port}`, tags: { service: name } }],
      outbound: [{ interface: `:${out}`, service: "redis" }],
    });
  }
  redis = await stage.sidecar("redis-1");
  backend = await stage.sidecar("backend-1");
  await stage.sidecar("web-1");
  await reaches(ports.out, "redis-1");
  await reaches(ports.webOut, "redis-1");
});

test.after(() => stage.close());

test("without a permission the handshake fails, and the service sees no connection", async () => {
  assert.is(await stage.mtls(true), 200);
  await denies(ports.out);
  await guarded(ports.redis);
  const before = redisApp.seen();
  for (let index = 0; index < 5; index++) assert.is(await refusal(ports.out), "");
  for (const version of versions) assert.is(await greetingOverTls(ports.redis, {}, version), "", version);
  assert.is(redisApp.seen(), before);
});

test("a permission allows its source and no other, with either TLS version", async () => {
  assert.is(await stage.permit("backend-to-redis", ["backend"], ["redis"]), 201);
  await reaches(ports.out, "redis-1");
  const before = redisApp.seen();
  assert.is(await refusal(ports.webOut), "", "web has a certificate and no permission");
  const web = await fetchCredentials(stage.cp.sdsPort, "default.web-1", await stage.token("web-1"));
  for (const version of versions) assert.is(await greetingOverTls(ports.redis, web, version), "", version);
  assert.is(redisApp.seen(), before);
  const own = await fetchCredentials(stage.cp.sdsPort, "default.backend-1", await stage.token("backend-1"));
  for (const version of versions) assert.is(await greetingOverTls(ports.redis, own, version), "redis-1", version);
});

test("the certificate on an inbound is what SPIFFE and the settings require", async () => {
  const own = await fetchCredentials(stage.cp.sdsPort, "default.backend-1", await stage.token("backend-1"));
  const certificate = await new Promise<X509Certificate>((resolve, reject) => {
    const { cert, key, ca } = own;
    const socket = tls.connect(
      { port: ports.redis, host: "127.0.0.1", cert, key, ca, checkServerIdentity: () => undefined },
      () => {
        const found = socket.getPeerX509Certificate();
        socket.destroy();
        if (found === undefined) reject(new Error("no certificate"));
        else resolve(found);
      },
    );
    socket.on("error", reject);
  });
  const [root] = own.ca.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? [];
  const authority = new X509Certificate(root ?? "");
  assert.is(certificate.subjectAltName, "URI:spiffe://default/redis");
  assert.ok(certificate.checkIssued(authority) && certificate.verify(authority.publicKey));
  assert.is(authority.subjectAltName, "URI:spiffe://default");
  assert.is(certificate.publicKey.asymmetricKeyType, "ec");
  assert.equal(certificate.keyUsage, ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]);
  const days = (certificate.validToDate.getTime() - Date.now()) / 86_400_000;
  assert.ok(days > 29.9 && days <= 30, `${days} days`);
});

test("the insight has the certificate's expiry, and nothing of the key", async () => {
  const mTLS = await eventually("the certificate is recorded", async () => {
    const response = await fetch(`${stage.cp.api}/meshes/default/dataplanes+insights/backend-1`);
    const text = await response.text();
    assert.not.match(text, /BEGIN|PRIVATE/);
    return (JSON.parse(text) as { dataplaneInsight: { mTLS?: Record<string, string> } }).dataplaneInsight.mTLS;
  });
  const days = (Date.parse(mTLS.certificateExpirationTime ?? "") - Date.now()) / 86_400_000;
  assert.ok(days > 29.9 && days <= 30, `${days} days`);
  assert.ok(Number(mTLS.certificateRegenerations) >= 1);
  assert.ok(mTLS.trustedRoots);
  assert.is(mTLS.refusal, undefined);
});

test("20 long-lived connections survive an unrelated permission, a renamed one and a duplicate one", async () => {
  const open = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const socket = net.connect(ports.out, "127.0.0.1");
      await new Promise((resolve, reject) => {
        socket.once("data", resolve);
        socket.once("error", reject);
      });
      return socket;
    }),
  );
  const closed: unknown[] = [];
  for (const socket of open) socket.on("close", () => closed.push(socket));
  const modified = () => redis.ask("/stats?filter=listener_manager.listener_(modified|in_place_updated)|lds.version");
  const before = await modified();
  await stage.permit("unrelated", ["web"], ["backend"]);
  await stage.permit("duplicate", ["backend"], ["redis"]);
  await stage.permit("renamed", ["backend"], ["redis"]);
  await stage.remove(`${permissions}/backend-to-redis`);
  await stage.remove(`${permissions}/duplicate`);
  // What the unrelated one allows shows that the others have been taken in as well.
  const web = await fetchCredentials(stage.cp.sdsPort, "default.web-1", await stage.token("web-1"));
  await eventually("the unrelated permission is in force", async () => {
    return (await greetingOverTls(ports.backend, web, "TLSv1.2")) === "redis-1";
  });
  assert.is(await modified(), before, "redis's sidecar heard nothing");
  for (const socket of open) {
    const answer = new Promise<string>((resolve) => socket.once("data", (chunk) => resolve(chunk.toString())));
    socket.write("still here\n");
    assert.is(await answer, "still here\n");
  }
  assert.is(closed.length, 0);
  for (const socket of open) socket.destroy();
});

test("removing a permission rejects new connections, and drains those that it had allowed", async () => {
  const socket = net.connect(ports.out, "127.0.0.1");
  await new Promise((resolve) => socket.once("data", resolve));
  let closed = false;
  socket.once("close", () => {
    closed = true;
  });
  socket.on("error", () => socket.destroy());
  await stage.remove(`${permissions}/renamed`);
  await denies(ports.out);
  // The drain time of this test's sidecars is two seconds.
  await eventually("it is closed", () => closed);
});

test("destination tags choose instances", async () => {
  await stage.apply("redis-2", redisDataplane(ports.redis2, { version: "2" }));
  await stage.sidecar("redis-2");
  await stage.permit("to-version-1", ["backend"], [{ service: "redis", version: "1" }]);
  const own = await fetchCredentials(stage.cp.sdsPort, "default.backend-1", await stage.token("backend-1"));
  const through = (port: number) => greetingOverTls(port, own, "TLSv1.2");
  await eventually("version 1 lets it in", async () => (await through(ports.redis)) === "redis-1");
  await guarded(ports.redis2);
  assert.is(await through(ports.redis2), "");
  await stage.remove(`${permissions}/to-version-1`);
  await stage.remove("/meshes/default/dataplanes/redis-2");
});

test("meshes are isolated: with the same names and mTLS in both, nothing crosses", async () => {
  assert.is(await stage.mtls(true, "m2"), 201);
  await stage.permit("everybody", ["*"], ["*"], "m2");
  await stage.permit("everybody", ["*"], ["*"]);
  const foreign = await stage.application("foreign");
  await stage.apply(
    "backend-1",
    {
      inbound: [{ interface: `127.0.0.1:${ports.foreign}:${foreign.port}`, tags: { service: "redis" } }],
      outbound: [{ interface: `:${ports.foreignOut}`, service: "redis" }],
    },
    "m2",
  );
  await stage.sidecar("backend-1", { mesh: "m2" });
  await reaches(ports.foreignOut, "foreign");
  await reaches(ports.out, "redis-1");
  for (let index = 0; index < 10; index++) {
    assert.is(await greeting(ports.out), "redis-1");
    assert.is(await greeting(ports.foreignOut), "foreign");
  }
  const theirs = await fetchCredentials(stage.cp.sdsPort, "m2.backend-1", await stage.token("backend-1", "m2"));
  const ours = await fetchCredentials(stage.cp.sdsPort, "default.backend-1", await stage.token("backend-1"));
  assert.is.not(theirs.ca, ours.ca);
  const before = redisApp.seen();
  for (const version of versions) assert.is(await greetingOverTls(ports.redis, theirs, version), "", version);
  assert.is(redisApp.seen(), before);
  assert.is(await greetingOverTls(ports.redis, ours, "TLSv1.3"), "redis-1");
  assert.is(await greetingOverTls(ports.foreign, theirs, "TLSv1.3"), "foreign");
  await stage.remove(`${permissions}/everybody`);
});

test("a dataplane with two services has both in its certificate, and each kuma-dp its own serial number", async () => {
  await stage.apply("both-1", {
    inbound: [
      { interface: `127.0.0.1:${ports.redis2}:${redisApp.port}`, tags: { service: "b" } },
      { interface: `127.0.0.1:${ports.redis2 + 1}:${redisApp.port}`, tags: { service: "a" } },
    ],
  });
  const token = await stage.token("both-1");
  const serials = new Set<string>();
  for (let index = 0; index < 3; index++) {
    const { cert } = await fetchCredentials(stage.cp.sdsPort, "default.both-1", token);
    const certificate = new X509Certificate(cert);
    assert.is(certificate.subjectAltName, "URI:spiffe://default/a, URI:spiffe://default/b");
    serials.add(certificate.serialNumber);
  }
  assert.is(serials.size, 3);
});

test("mTLS is switched off and on again under traffic, without a restart and with the same root", async () => {
  const token = await stage.token("backend-1");
  const before = await fetchCredentials(stage.cp.sdsPort, "default.backend-1", token);
  const { pid } = backend.child;
  const outcomes = { through: 0, failed: 0 };
  const stop = { now: false };
  const traffic = (async () => {
    const attempts: Promise<unknown>[] = [];
    while (!stop.now) {
      // One that nobody answers must not keep the next one back.
      attempts.push(
        greeting(ports.out).then(
          () => outcomes.through++,
          () => outcomes.failed++,
        ),
      );
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await Promise.all(attempts);
  })();
  for (const enabled of [false, true, false, true]) {
    await stage.mtls(enabled);
    if (!enabled) {
      await reaches(ports.out, "redis-1");
      await reaches(ports.redis, "redis-1");
      continue;
    }
    await guarded(ports.redis);
    await denies(ports.out);
    await stage.permit("everybody", ["*"], ["*"]);
    await reaches(ports.out, "redis-1");
    await stage.remove(`${permissions}/everybody`);
    await denies(ports.out);
  }
  stop.now = true;
  await traffic;
  assert.ok(outcomes.through > 0 && outcomes.failed > 0, JSON.stringify(outcomes));
  assert.is(backend.child.pid, pid);
  assert.is(backend.child.exitCode, null);
  assert.is((await fetchCredentials(stage.cp.sdsPort, "default.backend-1", token)).ca, before.ca);
});

test("a mesh that is deleted and created again has another root; tokens stay valid", async () => {
  const token = await stage.token("x-1", "again");
  const networking = { inbound: [{ interface: "127.0.0.1:1:2", tags: { service: "x" } }] };
  const roots = new Set<string>();
  for (let index = 0; index < 2; index++) {
    assert.is(await stage.mtls(true, "again"), 201);
    assert.is(await stage.apply("x-1", networking, "again"), 201);
    await eventually("its secrets are served", async () => {
      roots.add((await fetchCredentials(stage.cp.sdsPort, "again.x-1", token)).ca);
      return true;
    });
    assert.is(await stage.remove("/meshes/again"), 200);
  }
  assert.is(roots.size, 2);
});

test("no secret is in a file that others can read, nor in a response of the API", async () => {
  const names = fs.readdirSync(stage.temporary, { recursive: true, encoding: "utf8" });
  const readable = names
    .map((name) => `${stage.temporary}/${name}`)
    .filter((file) => fs.statSync(file, { throwIfNoEntry: false })?.isFile() && /kuma-dp-.*token/.test(file))
    .filter((file) => (fs.statSync(file).mode & 0o077) !== 0);
  assert.equal(readable, []);
  for (const path of ["/meshes/default/secrets", "/secrets", "/meshes/default/certificate-authority", "/config"]) {
    const response = await fetch(stage.cp.api + path);
    assert.not.match(await response.text(), /PRIVATE KEY|"key"/, path);
  }
});

test.run();
