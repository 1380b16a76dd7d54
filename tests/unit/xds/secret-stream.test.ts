import { EventEmitter } from "node:events";
import { Metadata } from "@grpc/grpc-js";
import * as assert from "uvu/assert";
import { envoy as core } from "../../../proto-gen/envelope/envoy/config/core/v3/base.js";
import { envoy as discovery } from "../../../proto-gen/envelope/envoy/service/discovery/v3/discovery.js";
import { typeUrls } from "../../../src/envoy/resource.js";
import { createLogger } from "../../../src/lib/logger.js";
import type { AuthorityState } from "../../../src/xds/identities.js";
import { type SecretCall, serveSecrets } from "../../../src/xds/secret-stream.js";
import { suite } from "../../support/suite.js";
import { redis, viewOf } from "./meshes.js";

const test = suite("a secret stream");

const { DiscoveryRequest, DiscoveryResponse } = discovery.service.discovery.v3;

/** A stream of `default.redis-1`, which is accepted, without a wire. Certificates are told as `redis #1`. */
function open() {
  const sent: { readonly nonce: string; readonly text: string }[] = [];
  const call = Object.assign(new EventEmitter(), {
    metadata: new Metadata(),
    getPeer: () => "test",
    end() {},
    write(bytes: Buffer) {
      const { nonce, resources } = DiscoveryResponse.deserialize(bytes);
      const text = resources.map(({ value }) => /\w+ #\d+/.exec(Buffer.from(value).toString())?.[0]).join();
      sent.push({ nonce, text });
    },
  });
  let view = viewOf([redis]);
  let serial = 0;
  const authority: AuthorityState = {
    kind: "ready",
    bundle: "roots #0",
    signer: "r",
    async issue(services) {
      const text = `${services} #${++serial}`;
      const notBefore = new Date();
      const notAfter = new Date(notBefore.getTime() + 3_600_000);
      return { services, certificateChain: text, privateKey: "", serial: String(serial), notBefore, notAfter };
    },
  };
  const stream = serveSecrets(call as unknown as SecretCall, {
    view: () => view,
    identities: { authority: () => authority },
    authenticate: () => ({ kind: "accepted", until: undefined }),
    pace: (work) => void work(),
    logger: createLogger({ name: "test", level: "off" }),
    changed() {},
  });
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  return {
    stream,
    sent: () => sent.map(({ text }) => text),
    becomes(service: string) {
      view = viewOf([{ ...redis, inbound: [{ interface: "127.0.0.1:9000:6379", tags: { service } }] }]);
      stream.refresh();
    },
    /** A request that acknowledges whatever came last. */
    async ask(...names: string[]) {
      const node = new core.config.core.v3.Node({ id: "default.redis-1" });
      const nonce = sent.at(-1)?.nonce ?? "";
      const request = { type_url: typeUrls.sds, resource_names: names, response_nonce: nonce };
      call.emit("data", Buffer.from(new DiscoveryRequest({ node, ...request }).serialize()));
      await settle();
    },
    end() {
      call.emit("cancelled");
    },
  };
}

test("a proxy that drops its certificate and asks again gets a new one, for what it is by then, and no other", async () => {
  const { ask, becomes, sent, stream, end } = open();
  await ask("identity_cert");
  await ask("identity_cert");
  assert.is(stream.identity?.serial, "1");
  await ask();
  assert.is(stream.identity, undefined);
  becomes("cache");
  await ask("identity_cert");
  assert.equal(sent(), ["redis #1", "cache #2"]);
  assert.is(stream.identity, undefined);
  await ask("identity_cert");
  assert.is(stream.identity?.serial, "2");
  end();
});

test("a certificate that is dropped by the request which acknowledges it is not in use", async () => {
  const { ask, stream, end } = open();
  await ask("identity_cert");
  await ask("mesh_ca");
  assert.is(stream.identity, undefined);
  assert.equal(stream.trusted, { version: undefined });
  await ask("mesh_ca");
  assert.is.not(stream.trusted?.version, undefined);
  end();
});

test.run();
