import * as assert from "uvu/assert";
import { generate } from "../../../src/envoy/generate.js";
import { createPlacement } from "../../../src/envoy/placement.js";
import { dataplane, meshRecord, meshViewOf } from "../../support/mesh-view.js";
import { suite } from "../../support/suite.js";
import { readListener } from "../../support/tls-decoding.js";

const test = suite("TCP keepalive of accepted connections");

const options = { connectTimeoutMs: 5000, secretServer: undefined };
const inbound = [{ interface: "127.0.0.1:8000:80", tags: { service: "backend" } }];
const outbound = [{ interface: ":10000", service: "redis" }];

/** The number of socket options of each listener, by name. */
function optionsOf(bootstrapRevision: number | undefined, redirectPort: number): Record<string, number> {
  const networking = { inbound, outbound, transparentProxying: { redirectPort } };
  const mesh = meshViewOf(meshRecord(false), dataplane("backend-1", networking));
  const proxy = mesh.proxies.get("backend-1");
  if (proxy === undefined) throw new Error("there is no backend-1");
  const { lds } = generate(proxy, mesh, options, createPlacement({ bootstrapRevision })).config;
  return Object.fromEntries(
    [...lds.values()].map((listener) => [listener.name, readListener(listener).socketOptions.length]),
  );
}

test("is only set for Envoys that were started with it: others would reject the listener and its later changes", () => {
  for (const old of [undefined, 0]) {
    assert.equal(optionsOf(old, 0), { "inbound:127.0.0.1:8000": 0, "outbound:127.0.0.1:10000": 0 });
  }
  assert.equal(optionsOf(1, 0), { "inbound:127.0.0.1:8000": 4, "outbound:127.0.0.1:10000": 4 });
});

test("is only set on the listener with a socket when connections are redirected", () => {
  const none = { "inbound:127.0.0.1:8000": 0, "outbound:127.0.0.1:10000": 0 };
  assert.equal(optionsOf(1, 15_001), { catch_all: 4, ...none });
});

test.run();
