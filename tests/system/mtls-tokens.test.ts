import { createHmac, createPublicKey, generateKeyPairSync } from "node:crypto";
import fs from "node:fs";
import { status } from "@grpc/grpc-js";
import jwt from "jsonwebtoken";
import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import { denies, type MeshStage, openMeshStage, reaches, refusal } from "../support/mesh-stage.js";
import { freePort } from "../support/ports.js";
import { fetchCredentials, openSecretStream } from "../support/secret-client.js";
import { suite } from "../support/suite.js";

const test = suite("dataplane tokens and who gets a certificate for them", { needs: "envoy" });

let stage: MeshStage;
const ports = { redis: 0, good: 0, goodOut: 0, bad: 0, badOut: 0, wrong: 0, wrongOut: 0 };

test.before(async () => {
  for (const key of Object.keys(ports) as (keyof typeof ports)[]) ports[key] = await freePort();
  stage = await openMeshStage();
  const { port } = await stage.application("redis-1");
  await stage.mtls(true);
  await stage.permit("everybody", ["*"], ["*"]);
  await stage.apply("redis-1", {
    inbound: [{ interface: `127.0.0.1:${ports.redis}:${port}`, tags: { service: "redis" } }],
  });
  for (const [name, inbound, out] of [
    ["good", ports.good, ports.goodOut],
    ["bad", ports.bad, ports.badOut],
    ["wrong", ports.wrong, ports.wrongOut],
  ] as const) {
    await stage.apply(`${name}-1`, {
      inbound: [{ interface: `127.0.0.1:${inbound}:${port}`, tags: { service: name } }],
      outbound: [{ interface: `:${out}`, service: "redis" }],
    });
  }
  await stage.sidecar("redis-1");
  await stage.sidecar("good-1");
  await reaches(ports.goodOut, "redis-1");
});

test.after(() => stage.close());

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
const claims = { Name: "bad-1", Mesh: "default" };

/** A token that only a thief of the public key could think of: the key as the secret of an HMAC. */
function signedWithPublicKey(publicKey: string): string {
  const unsigned = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(claims)}`;
  return `${unsigned}.${createHmac("sha256", publicKey).update(unsigned).digest("base64url")}`;
}

function tampered(token: string): string {
  const [header, , signature] = token.split(".");
  return `${header}.${encode({ ...claims, Mesh: "other" })}.${signature}`;
}

const stranger = generateKeyPairSync("rsa", { modulusLength: 2048 });
const strangersPublicKey = createPublicKey(stranger.privateKey).export({ type: "spki", format: "pem" }).toString();

const attacks: readonly (readonly [what: string, token: () => Promise<string | undefined>, reason: RegExp])[] = [
  ["none", async () => undefined, /there is no token/],
  ["an empty one", async () => "", /there is no token/],
  ["no JWT", async () => "let me in", /not a JWT/],
  ["alg none", async () => `${encode({ alg: "none" })}.${encode(claims)}.`, /none\\?" instead of RS256/],
  ["HS256 with a public key", async () => signedWithPublicKey(strangersPublicKey), /HS256\\?" instead of RS256/],
  ["a stranger's key", async () => jwt.sign(claims, stranger.privateKey, { algorithm: "RS256" }), /signature is wrong/],
  ["another name", () => stage.token("good-1"), /for dataplane \\?"good-1/],
  ["another mesh", () => stage.token("bad-1", "m2"), /in mesh \\?"m2/],
  ["tampered", async () => tampered(await stage.token("bad-1")), /signature is wrong/],
  ["20 kB long", async () => "x".repeat(20_000), /longer than 8192/],
];

for (const [what, token, reason] of attacks) {
  test(`a token that is ${what}: refused with the reason in the log, and a generic message to the peer`, async () => {
    const logged = stage.cp.output().length;
    const stream = await openSecretStream(stage.cp.sdsPort, "default.bad-1", await token());
    stream.request(["identity_cert"]);
    const error = await eventually("the stream is refused", () => stream.ended);
    assert.is(error.code, status.UNAUTHENTICATED);
    assert.is(error.details, "the dataplane could not be authenticated");
    assert.is(stream.responses.length, 0);
    await eventually("the log says why", () => reason.test(stage.cp.output().slice(logged)));
    stream.close();
  });
}

test("a token of a megabyte breaks nothing", async () => {
  const stream = await openSecretStream(stage.cp.sdsPort, "default.bad-1", "x".repeat(1_000_000));
  stream.request(["identity_cert"]);
  await eventually("the stream is refused", () => stream.ended);
  assert.is(stream.responses.length, 0);
  stream.close();
  await fetchCredentials(stage.cp.sdsPort, "default.good-1", await stage.token("good-1"));
});

test("an expired token gets no certificate, and a token that expires later only stops the renewal", async () => {
  const token = await stage.token("bad-1", "default", { validFor: "1s" });
  const { cert } = await fetchCredentials(stage.cp.sdsPort, "default.bad-1", token);
  assert.match(cert, "BEGIN CERTIFICATE");
  const error = await eventually("it has expired", async () => {
    const stream = await openSecretStream(stage.cp.sdsPort, "default.bad-1", token);
    stream.request(["identity_cert"]);
    const outcome = await eventually("an outcome", () => stream.ended ?? stream.responses[0]);
    stream.close();
    return "code" in outcome ? outcome : undefined;
  });
  assert.is(error.code, status.UNAUTHENTICATED);
  assert.match(stage.cp.output(), /it expired at/);
});

test("the roots are public; other secrets, other types and unknown dataplanes are rejected by name", async () => {
  const open = async (node: string, names: string[], token?: string) => {
    const stream = await openSecretStream(stage.cp.sdsPort, node, token);
    stream.request(names);
    const outcome = await eventually("an outcome", () => stream.ended ?? stream.responses[0]);
    stream.close();
    return outcome;
  };
  const roots = await open("default.bad-1", ["mesh_ca"]);
  assert.ok("bundle" in roots && roots.bundle?.includes("BEGIN CERTIFICATE"));
  for (const [node, names, token, code, details] of [
    ["default.bad-1", ["somebody_elses"], undefined, status.NOT_FOUND, /"somebody_elses" is not supported/],
    ["default.ghost", ["identity_cert"], await stage.token("ghost"), status.NOT_FOUND, /no Dataplane "ghost"/],
    ["nowhere.bad-1", ["mesh_ca"], undefined, status.NOT_FOUND, /no Mesh "nowhere"/],
    ["nodots", ["mesh_ca"], undefined, status.INVALID_ARGUMENT, /node id/],
  ] as const) {
    const outcome = await open(node, [...names], token);
    assert.ok("code" in outcome, node);
    assert.is(outcome.code, code, node);
    assert.match(outcome.details, details);
  }
});

/** A token with the right claims, signed by a key unknown to the control plane: kuma-dp can't detect that. */
const forged = (name: string) => jwt.sign({ Name: name, Mesh: "default" }, stranger.privateKey, { algorithm: "RS256" });

test("an Envoy without a usable token: its traffic fails, never as plaintext; others go on, and xDS is unaffected", async () => {
  const often = { KUMA_DATAPLANE_STATUS_INTERVAL: "500ms" };
  const none = await stage.sidecar("bad-1", { token: "", env: often });
  const another = await stage.sidecar("wrong-1", { token: forged("wrong-1"), env: often });
  // Envoy takes listeners only after its clusters gave up waiting for secrets, which is 15 s.
  for (const [name, inbound, out, why] of [
    ["bad-1", ports.bad, ports.badOut, /there is no token/],
    ["wrong-1", ports.wrong, ports.wrongOut, /its signature is wrong/],
  ] as const) {
    await denies(out, 40_000);
    assert.is(await refusal(out), "");
    await eventually(`the configuration of ${name} is acknowledged`, async () => {
      const response = await fetch(`${stage.cp.api}/meshes/default/dataplanes+insights/${name}`);
      const { dataplaneInsight } = (await response.json()) as {
        dataplaneInsight: {
          subscriptions?: { status: { lds?: Record<string, string>; total: object } }[];
          mTLS?: { refusal?: { reason: string } };
        };
      };
      const [open] = dataplaneInsight.subscriptions ?? [];
      if (!why.test(dataplaneInsight.mTLS?.refusal?.reason ?? "")) return false;
      return open?.status.lds?.responsesAcknowledged !== undefined && !("responsesRejected" in open.status.total);
    });
    const answer = await refusal(inbound).catch((error: NodeJS.ErrnoException) => error.code);
    assert.ok(answer === "" || answer === "ECONNREFUSED", `its inbound answered ${answer}`);
  }
  await reaches(ports.goodOut, "redis-1");
  assert.match(none.output(), /kumactl generate dataplane-token/);
  for (const [sidecar, name, why] of [
    [none, "bad-1", "there is no token"],
    [another, "wrong-1", "its signature is wrong"],
  ] as const) {
    const said = new RegExp(
      `^Warning: the control plane refused this dataplane a certificate at \\S+: .*${why}.*--name=${name} --mesh=default`,
      "m",
    );
    await eventually(`kuma-dp of ${name} says so as well`, () => said.test(sidecar.output()));
  }
  await Promise.all([none.stop(), another.stop()]);
});

test("a token that is written later is read by Envoy for its next attempt", async () => {
  const file = `${stage.temporary}/late-token`;
  fs.writeFileSync(file, forged("bad-1"));
  const logged = stage.cp.output().length;
  const sidecar = await stage.sidecar("bad-1", { token: "", env: { KUMA_DATAPLANE_RUNTIME_TOKEN_PATH: file } });
  await eventually("it was refused", () => /its signature is wrong/.test(stage.cp.output().slice(logged)));
  fs.writeFileSync(file, await stage.token("bad-1"));
  await reaches(ports.badOut, "redis-1", 50_000);
  await sidecar.stop();
});

test.run();
