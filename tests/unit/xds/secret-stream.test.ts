import * as assert from "uvu/assert";
import { envoy as core } from "../../../proto-gen/envelope/envoy/config/core/v3/base.js";
import { envoy as discovery } from "../../../proto-gen/envelope/envoy/service/discovery/v3/discovery.js";
import { google } from "../../../proto-gen/envelope/google/rpc/status.js";
import { typeUrls } from "../../../src/envoy/resource.js";
import { createLogger } from "../../../src/lib/logger.js";
import type { GrpcCall } from "../../../src/net/grpc-server.js";
import { uncounted } from "../../../src/net/incidents.js";
import type { ProxyId } from "../../../src/xds/node.js";
import type { Authenticate, AuthorityState } from "../../../src/xds/secrets/identities.js";
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
 * A stream of `default.redis-1` without a wire, which is accepted unless the test says otherwise. Certificates are told
 * as `redis #1`, and so are the roots, as `roots #0`; the observer's words as a sentence each.
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
  /** The end of a certificate's life tells which it is. */
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
  /** Answers whatever came last. */
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
    /** What the observer heard since the last look. */
    heard: () => heard.splice(0),
    becomes(service: string) {
      view = viewOf([{ ...redis, inbound: [{ interface: "127.0.0.1:9000:6379", tags: { service } }] }]);
      stream.refresh();
    },
    goes() {
      view = viewOf([]);
      stream.refresh();
    },
    /** Another root signs, and is the one to trust. */
    async rotates(signer: number) {
      authority = authorityOf(signer);
      stream.refresh();
      await settle();
    },
    /** A request that acknowledges whatever came last. */
    ask: (...names: string[]) => answer(names),
    refuse: (refusal: string, ...names: string[]) => answer(names, refusal),
    end: () => stream.closed(),
  };
}

test("a proxy that drops its certificate and asks again gets a new one, for what it is by then, and no other", async () => {
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

test("a certificate that is dropped by the request which acknowledges it is not in use", async () => {
  const { ask, heard, sent, end } = open();
  await ask("identity_cert");
  await ask("mesh_ca");
  assert.equal([sent(), heard()], [["redis #1", "roots #0"], []]);
  await ask("mesh_ca");
  assert.equal(heard(), ["default.redis-1 trusts roots #0"]);
  end();
});

test("what a proxy took is told when it acknowledges it, once, and never what it was only sent", async () => {
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

test("a proxy trusts new roots, and uses a certificate of theirs, from its acknowledgement on", async () => {
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

test("what a proxy refuses is not in use, and the roots that it has stay the ones that it trusts", async () => {
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
  ["a token that proves nothing", { authenticate: refused, tokens: ["x"] }, '"x" is no token'],
  ["no token where one is needed", { authenticate: refused }, '"undefined" is no token'],
  ["two tokens, whatever they are", { tokens: ["x", "y"] }, "there is more than one token"],
];

for (const [title, options, reason] of refusedProxies) {
  test(`a proxy with ${title} is refused a certificate, and the reason told`, async () => {
    const { ask, heard, sent } = open(options);
    await ask("identity_cert");
    await ask("identity_cert");
    assert.equal(heard(), [`default.redis-1 is refused: ${reason}`]);
    assert.equal(sent(), []);
  });
}

test("roots are for everybody: who asks for them alone is not refused, and is known to trust them", async () => {
  const { ask, heard, end } = open({ authenticate: refused });
  await ask("mesh_ca");
  await ask("mesh_ca");
  assert.equal(heard(), ["default.redis-1 trusts roots #0"]);
  end();
});

test("a token that expires while its proxy has a certificate is told once the next certificate is due", async () => {
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

test("a proxy without a Dataplane was not refused: it has nothing to prove yet", async () => {
  const { ask, goes, heard, sent } = open();
  goes();
  await ask("identity_cert");
  assert.equal([sent(), heard()], [[], []]);
});

test.run();
