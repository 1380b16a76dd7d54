import net from "node:net";
import * as assert from "uvu/assert";
import { bootstrapDocument } from "../../../src/cp/bootstrap/document.js";
import { prepareBootstrap } from "../../../src/dp/bootstrap-document.js";
import { connectionWarning, loopbackWarning } from "../../../src/dp/xds-server.js";
import { suite } from "../../support/suite.js";

const test = suite("kuma-dp checks Envoy's xDS server");

const written = (host: string, controlPlaneHost?: string) =>
  JSON.stringify(
    bootstrapDocument({
      mesh: "m",
      name: "n",
      service: "s",
      ...(controlPlaneHost === undefined ? {} : { controlPlaneHost }),
      admin: { address: "127.0.0.1", port: 0, accessLogPath: "/dev/null" },
      xds: { host, port: 5678, connectTimeoutMs: 1 },
    }),
  );

test("it is read from the bootstrap, with whether its host comes from the request", async () => {
  const read = async (text: string) => (await prepareBootstrap(text)).xds;
  assert.equal(await read(written("cp")), { host: "cp", port: 5678, hostFromRequest: false });
  assert.equal(await read(written("10.0.0.1", "10.0.0.1")), { host: "10.0.0.1", port: 5678, hostFromRequest: true });
  assert.is(await read("staticResources: {clusters: [{name: ads_cluster, loadAssignment: 1}]}"), undefined);
  assert.is(await read("staticResources: 1"), undefined);
});

const cases: readonly (readonly [host: string, controlPlane: string, wrong: boolean])[] = [
  ["localhost", "http://10.0.0.1:5682", true],
  ["::1", "https://cp.example:5682", true],
  ["localhost", "http://localhost:5682", false],
  ["localhost", "http://[::1]:5682", false],
  ["127.0.0.1", "http://127.0.1.1:5682", false],
  ["10.0.0.1", "http://10.0.0.1:5682", false],
  ["cp.example", "http://localhost:5682", false],
];

for (const [host, controlPlane, wrong] of cases) {
  test(`a control plane at ${controlPlane} that names ${host} is ${wrong ? "one that can't be found" : "fine"}`, () => {
    const warning = loopbackWarning({ host, port: 5678, hostFromRequest: false }, controlPlane);
    if (wrong) assert.match(warning ?? "", `"${host}", which is this machine`);
    else assert.is(warning, undefined);
  });
}

test("an unreachable server is reported, with the setting when its host comes from the request; a reachable one is not", async () => {
  const server = net.createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as net.AddressInfo;
  const { signal } = new AbortController();
  assert.is(await connectionWarning({ host: "127.0.0.1", port, hostFromRequest: true }, signal), undefined);
  await new Promise((resolve) => server.close(resolve));
  const warningFor = (hostFromRequest: boolean) =>
    connectionWarning({ host: "127.0.0.1", port, hostFromRequest }, signal);
  assert.match((await warningFor(false)) ?? "", new RegExp(`can't be reached at 127.0.0.1:${port}: .*ECONNREFUSED`));
  assert.not.match((await warningFor(false)) ?? "", /localhost/);
  assert.match((await warningFor(true)) ?? "", /KUMA_GENERAL_ADVERTISED_HOSTNAME of kuma-cp is its default, localhost/);
});

test.run();
