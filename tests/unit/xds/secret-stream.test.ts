import * as assert from "uvu/assert";
import { envoy as core } from "../../../proto-gen/envelope/envoy/config/core/v3/base.js";
import { envoy as discovery } from "../../../proto-gen/envelope/envoy/service/discovery/v3/discovery.js";
import { google } from "../../../proto-gen/envelope/google/rpc/status.js";
import { typeUrls } from "../../../src/envoy/resource.js";
import { createLogger } from "../../../src/lib/logger.js";
import type { GrpcCall } from "../../../src/net/grpc-server.js";
import { uncounted } from "../../../src/net/incidents.js";
import type { ProxyId } from "../../../src/xds/node.js";
import type { Authenticate, Authentication, AuthorityState } from "../../../src/xds/secrets/identities.js";
import { bundleVersion, serveSecrets } from "../../../src/xds/secrets/stream.js";
import { unframed } from "../../support/discovery-request.js";
import { createFakeTime } from "../../support/fake-time.js";
import { suite } from "../../support/suite.js";
import { redis, viewOf } from "./meshes.js";

const test = suite("a secret stream");

const { DiscoveryRequest, DiscoveryResponse } = discovery.service.discovery.v3;

interface Options {
  readonly authenticate?: Authenticate;
  readonly tokens?: readonly string[];
}

const start = Date.parse("2026-01-01T00:00:00Z");

/**
 * A stream of `default.redis-1` without a connection, which is authenticated unless the test says otherwise.
 * Certificates are written as `redis #1`, roots as `roots #0`, and each call of the observer as a sentence.
 */
function open({ authenticate = () => ({ kind: "accepted", until: undefined }), tokens = [] }: Options = {}) {
  const sent: { readonly nonce: string; readonly text: string }[] = [];
  const heard: string[] = [];
  const call: GrpcCall = {
    peer: () => "test",
    proved() {},
    header: (name) => (name === "authorization" ? tokens : []),
    end: () => stream.closed(),
    write(framed) {
      const { nonce, resources } = DiscoveryResponse.deserialize(unframed(framed));
      const texts = resources.map(({ value }) => /\w+ #\d+/.exec(Buffer.from(value).toString())?.[0]);
      sent.push({ nonce, text: texts.join() });
    },
  };
  const time = createFakeTime();
  let view = viewOf([redis]);
  let serial = 0;
  /** A certificate is identified by its expiry. */
  const serialOf = (notAfter: Date) => (notAfter.getTime() - start) / 3_600_000;
  const versions = new Map<string, string>();
  function authorityOf(signer: number): Extract<AuthorityState, { kind: "ready" }> {
    const authority: AuthorityState = {
      kind: "ready",
      bundle: `roots #${signer}`,
      signer: String(signer),
      async issue(services) {
        serial += 1;
        const notBefore = new Date(start);
        const notAfter = new Date(start + serial * 3_600_000);
        const certificateChain = `${services} #${serial}`;
        return { services, certificateChain, privateKey: "", serial: `${serial}`, notBefore, notAfter };
      },
    };
    versions.set(bundleVersion(authority), authority.bundle);
    return authority;
  }
  let authority = authorityOf(0);
  const named = ({ mesh, name }: ProxyId) => `${mesh}.${name}`;
  const stream = serveSecrets(call, {
    view: () => view,
    identities: { authority: () => authority },
    authenticate,
    pace: (work) => void work(),
    logger: createLogger({ name: "test", level: "off" }),
    incidents: uncounted,
    observer: {
      certified: (proxy, { notAfter }) => void heard.push(`${named(proxy)} uses #${serialOf(notAfter)}`),
      trusting: (proxy, version) => void heard.push(`${named(proxy)} trusts ${versions.get(version)}`),
      refused: (proxy, reason) => void heard.push(`${named(proxy)} is refused: ${reason}`),
    },
    timers: time.timers,
  });
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  /** Acknowledges the last response. */
  async function answer(names: readonly string[], refusal?: string): Promise<void> {
    const node = new core.config.core.v3.Node({ id: "default.redis-1" });
    const request = new DiscoveryRequest({
      node,
      type_url: typeUrls.sds,
      resource_names: [...names],
      response_nonce: sent.at(-1)?.nonce ?? "",
      ...(refusal === undefined ? {} : { error_detail: new google.rpc.Status({ code: 3, message: refusal }) }),
    });
    stream.message(Buffer.from(request.serialize()));
    await settle();
  }
  return {
    time,
    sent: () => sent.map(({ text }) => text),
    /** The calls of the observer since the last call. */
    heard: () => heard.splice(0),
    becomes(service: string) {
      view = viewOf([{ ...redis, inbound: [{ interface: "127.0.0.1:9000:6379", tags: { service } }] }]);
      stream.refresh();
    },
    goes() {
      view = viewOf([]);
      stream.refresh();
    },
    /** Another root signs, and is the one in the bundle. */
    async rotates(signer: number) {
      authority = authorityOf(signer);
      stream.refresh();
      await settle();
    },
    /** A request that acknowledges the last response. */
    ask: (...names: string[]) => answer(names),
    refuse: (refusal: string, ...names: string[]) => answer(names, refusal),
    end: () => stream.closed(),
  };
}

test("a proxy that unsubscribes from its certificate and requests it again gets only a new one, for its current services", async () => {
  const { ask, becomes, sent, heard, end } = open();
  await ask("identity_cert");
  await ask("identity_cert");
  assert.equal(heard(), ["default.redis-1 uses #1"]);
  await ask();
  becomes("cache");
  await ask("identity_cert");
  assert.equal(sent(), ["redis #1", "cache #2"]);
  assert.equal(heard(), []);
  await ask("identity_cert");
  assert.equal(heard(), ["default.redis-1 uses #2"]);
  end();
});

test("a certificate that is unsubscribed by the request that acknowledges it is not in use", async () => {
  const { ask, heard, sent, end } = open();
  await ask("identity_cert");
  await ask("mesh_ca");
  assert.equal([sent(), heard()], [["redis #1", "roots #0"], []]);
  await ask("mesh_ca");
  assert.equal(heard(), ["default.redis-1 trusts roots #0"]);
  end();
});

test("a secret is reported once, when the proxy acknowledges it, and never when it is only sent", async () => {
  const { ask, heard, sent, end } = open();
  await ask("mesh_ca", "identity_cert");
  await ask("mesh_ca", "identity_cert");
  assert.equal(sent(), ["roots #0", "redis #1"]);
  assert.equal(heard(), ["default.redis-1 trusts roots #0"]);
  await ask("mesh_ca", "identity_cert");
  assert.equal(heard(), ["default.redis-1 uses #1"]);
  await ask("mesh_ca", "identity_cert");
  assert.equal([sent().length, heard()], [2, []]);
  end();
});

test("a proxy trusts new roots, and uses a certificate signed by them, once it acknowledges them", async () => {
  const { ask, rotates, heard, sent, end } = open();
  for (let times = 0; times < 3; times++) await ask("mesh_ca", "identity_cert");
  heard();
  await rotates(1);
  assert.equal(sent().slice(2), ["roots #1"]);
  assert.equal(heard(), []);
  await ask("mesh_ca", "identity_cert");
  assert.equal(heard(), ["default.redis-1 trusts roots #1"]);
  await ask("mesh_ca", "identity_cert");
  assert.equal([sent().slice(3), heard()], [["redis #2"], ["default.redis-1 uses #2"]]);
  end();
});

test("a rejected secret is not in use, and the proxy still trusts its previous roots", async () => {
  const { ask, refuse, rotates, heard, end } = open();
  await ask("identity_cert");
  await refuse("not a certificate", "identity_cert");
  await ask("mesh_ca");
  await ask("mesh_ca");
  assert.equal(heard(), ["default.redis-1 trusts roots #0"]);
  await rotates(1);
  await refuse("no roots", "mesh_ca");
  assert.equal(heard(), []);
  end();
});

const refused: Authenticate = (token) => ({ kind: "refused", reason: `"${token}" is no token` });

const refusedProxies: readonly (readonly [title: string, options: Options, heard: string])[] = [
  ["an invalid token", { authenticate: refused, tokens: ["x"] }, '"x" is no token'],
  ["no token where one is required", { authenticate: refused }, '"undefined" is no token'],
  ["two tokens", { tokens: ["x", "y"] }, "there is more than one token"],
];

for (const [title, options, reason] of refusedProxies) {
  test(`a proxy with ${title} is refused a certificate, and the reason is reported`, async () => {
    const { ask, heard, sent } = open(options);
    await ask("identity_cert");
    await ask("identity_cert");
    assert.equal(heard(), [`default.redis-1 is refused: ${reason}`]);
    assert.equal(sent(), []);
  });
}

test("roots need no token: a client that requests only them is served, and is known to trust them", async () => {
  const { ask, heard, end } = open({ authenticate: refused });
  await ask("mesh_ca");
  await ask("mesh_ca");
  assert.equal(heard(), ["default.redis-1 trusts roots #0"]);
  end();
});

test("a token that expires while its proxy has a certificate is reported when the next certificate is due", async () => {
  const until = new Date(Date.now() + 3_600_000);
  const { ask, becomes, heard, sent } = open({ authenticate: () => ({ kind: "accepted", until }) });
  await ask("identity_cert");
  await ask("identity_cert");
  until.setTime(Date.now() - 1);
  assert.equal(heard(), ["default.redis-1 uses #1"]);
  becomes("cache");
  assert.equal(heard(), ["default.redis-1 is refused: the token has expired since the stream began"]);
  becomes("web");
  assert.equal([sent(), heard()], [["redis #1"], []], "that stream is over");
});

/** An authentication that ends when the test says so. */
function slowAuthentication() {
  const { promise, resolve, reject } = Promise.withResolvers<Authentication>();
  const authenticate: Authenticate = () => promise;
  return { authenticate, resolve, reject };
}

test("a certificate waits for an authentication that takes a while, and so do the requests that follow", async () => {
  const { authenticate, resolve } = slowAuthentication();
  const { ask, heard, sent } = open({ authenticate });
  await ask("identity_cert");
  await ask("identity_cert", "mesh_ca");
  assert.equal([sent(), heard()], [[], []]);
  resolve({ kind: "accepted", until: undefined });
  await new Promise((done) => setImmediate(done));
  assert.equal(sent(), ["roots #0"], "the certificate is being issued");
  await ask("identity_cert", "mesh_ca");
  assert.match(sent().at(-1) ?? "", "redis #1");
});

test("an authentication that fails late refuses the stream, and the reason is reported", async () => {
  const { authenticate, resolve } = slowAuthentication();
  const { ask, heard, sent } = open({ authenticate });
  await ask("identity_cert");
  resolve({ kind: "refused", reason: "no" });
  await new Promise((done) => setImmediate(done));
  assert.equal([sent(), heard()], [[], ["default.redis-1 is refused: no"]]);
});

test("an authentication that ends after its stream has no effect", async () => {
  for (const result of [
    { kind: "accepted", until: undefined },
    { kind: "refused", reason: "no" },
  ] as const) {
    const { authenticate, resolve } = slowAuthentication();
    const { ask, end, heard, sent } = open({ authenticate });
    await ask("identity_cert");
    end();
    resolve(result);
    await new Promise((done) => setImmediate(done));
    assert.equal([sent(), heard()], [[], []]);
  }
});

test("a client that keeps asking before it is authenticated is refused", async () => {
  const { authenticate, resolve } = slowAuthentication();
  const { ask, sent, heard } = open({ authenticate });
  for (let request = 0; request < 20; request++) await ask("identity_cert");
  resolve({ kind: "accepted", until: undefined });
  await new Promise((done) => setImmediate(done));
  assert.equal([sent(), heard()], [[], []]);
});

test("an authentication that throws ends its stream and nothing else", async () => {
  const { authenticate, reject } = slowAuthentication();
  const { ask, sent, heard } = open({ authenticate });
  await ask("identity_cert");
  reject(new Error("a bug"));
  await new Promise((done) => setImmediate(done));
  await ask("identity_cert");
  assert.equal([sent(), heard()], [[], []]);
});

test("a proxy without a Dataplane is not reported as refused", async () => {
  const { ask, goes, heard, sent } = open();
  goes();
  await ask("identity_cert");
  assert.equal([sent(), heard()], [[], []]);
});

test.run();
