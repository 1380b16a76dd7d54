import { load } from "js-yaml";
import * as assert from "uvu/assert";
import { prepareBootstrap } from "../../../src/dp/bootstrap-document.js";
import { suite } from "../../support/suite.js";

const test = suite("kuma-dp prepares the bootstrap for Envoy");

test("a bootstrap without admin gets one on a Unix socket and is otherwise unchanged", async () => {
  const { yaml, admin } = await prepareBootstrap("node: {id: default.a, cluster: '1'}\nadmin: null\n");
  assert.equal(admin, { kind: "socket", path: "admin.sock" });
  assert.equal(load(yaml), {
    node: { id: "default.a", cluster: "1" },
    admin: { address: { pipe: { path: "admin.sock", mode: 0o600 } } },
  });
});

test("a bootstrap with admin is passed on byte for byte", async () => {
  const text = "admin: {address: {socketAddress: {address: 0.0.0.0, portValue: 9901}}} # chosen\n";
  assert.equal(await prepareBootstrap(text), {
    yaml: text,
    admin: { kind: "tcp", host: "127.0.0.1", port: 9901 },
    xds: undefined,
  });
});

const addresses: [string, unknown][] = [
  ["{socket_address: {address: '::', port_value: 9}}", { kind: "tcp", host: "::1", port: 9 }],
  ["{socketAddress: {address: '::1', portValue: 9}}", { kind: "tcp", host: "::1", port: 9 }],
  ["{pipe: {path: /run/admin.sock}}", { kind: "socket", path: "/run/admin.sock" }],
  ["{envoyInternalAddress: {}}", undefined],
];
for (const [address, expected] of addresses) {
  test(`the admin address ${address} is understood`, async () => {
    assert.equal((await prepareBootstrap(`admin: {address: ${address}}`)).admin, expected);
  });
}

for (const text of ["", "just text", "- a\n- b\n", "a: [", "null"]) {
  test(`${JSON.stringify(text)} is refused`, async () => {
    let message = "";
    await prepareBootstrap(text).catch((error: Error) => {
      message = error.message;
    });
    assert.match(message, "the control plane's bootstrap is not");
  });
}

test("a bootstrap for xDS v2 from an older control plane is rejected as too old", async () => {
  for (const text of [
    "dynamicResources: {adsConfig: {apiType: GRPC}}",
    "dynamic_resources: {ads_config: {api_type: GRPC, transport_api_version: V2}}",
  ]) {
    let message = "";
    await prepareBootstrap(text).catch((error: Error) => {
      message = error.message;
    });
    assert.match(message, /^the control plane is too old: .*xDS v2/);
  }
  await prepareBootstrap("dynamicResources: {adsConfig: {apiType: DELTA_GRPC, transportApiVersion: V3}}");
});

test.run();
