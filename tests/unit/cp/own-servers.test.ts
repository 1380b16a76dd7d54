import * as assert from "uvu/assert";
import { specChecks } from "../../../src/cp/checks/spec-checks.js";
import { ownServers, type Ports } from "../../../src/cp/own-servers.js";
import { suite } from "../../support/suite.js";
import { type Answer, stage } from "./stage.js";

const test = suite("the control plane's own servers");

const ports: Ports = {
  api: 5681,
  bootstrap: 5682,
  xds: 5678,
  sds: 5677,
  health: 5680,
  localTokens: 5679,
  publicTokens: undefined,
  admission: undefined,
};
const servers = ownServers(ports, ["cp.example", "192.0.2.1", "fe80::1%eth0", "2001:db8::1"]);

test("are recognised by every spelling of their machine", () => {
  const own = [
    ...["127.0.0.1", "127.8.8.8", "0.0.0.0", "::", "::1", "::ffff:127.0.0.1", "localhost", "LOCALHOST.", "a.localhost"],
    ...[
      "127.1",
      "0x7f000001",
      "2130706433",
      "192.0.2.1",
      "::ffff:192.0.2.1",
      "2001:DB8:0::1",
      "CP.example",
      "fe80::1%eth0",
    ],
  ];
  for (const host of own) assert.is(servers.at(host, 5681), "the HTTP API", host);
  for (const host of ["192.0.2.2", "other.example", "", "128.0.0.1", "cp.example.com", "a b"]) {
    assert.is(servers.at(host, 5681), undefined, host);
  }
  assert.is(servers.at("127.0.0.1", 80), undefined);
  assert.is(servers.at("127.0.0.1", 0), undefined);
  for (const port of [5677, 5678, 5679, 5680, 5682]) assert.ok(servers.at("localhost", port), `${port}`);
});

const api = () => stage({ checks: specChecks(() => servers) });
const causesOf = ({ json }: Answer) => (json as { causes?: { field: string; message: string }[] }).causes ?? [];

test("are forbidden for inbounds to listen on or forward to", async () => {
  const door = await api();
  const put = (...interfaces: string[]) =>
    door.put("/meshes/default/dataplanes/d", {
      type: "Dataplane",
      mesh: "default",
      name: "d",
      networking: { inbound: interfaces.map((one) => ({ interface: one, tags: { service: "a" } })) },
    });
  const refused = await put("192.0.2.9:80:5681", "192.0.2.1:81:5681", "127.0.0.1:5679:80", "192.0.2.1:82:5679");
  assert.is(refused.status, 400);
  const causes = causesOf(refused);
  assert.equal(
    causes.map(({ field }) => field),
    [1, 2, 3].map((index) => `networking.inbound[${index}].interface`),
  );
  assert.match(causes[0]?.message ?? "", /workload port 5681 .* the HTTP API/);
  assert.match(causes[1]?.message ?? "", /port 5679 of 127\.0\.0\.1 belongs to the token server/);
  assert.is((await put("192.0.2.9:80:5681", "127.0.0.1:81:8080")).status, 201);
});

const v2 = "type.googleapis.com/envoy.api.v2";
const v3 = "type.googleapis.com/envoy.config";
const to = (address: string, portValue: unknown) => ({ socketAddress: { address, portValue } });
const endpoints = (address: object) => [{ lbEndpoints: [{ endpoint: { address } }] }];

const leading: readonly [what: string, resource: object, field: RegExp][] = [
  [
    "a cluster",
    {
      "@type": `${v3}.cluster.v3.Cluster`,
      name: "c",
      loadAssignment: { clusterName: "c", endpoints: endpoints(to("127.0.0.1", 5681)) },
    },
    /loadAssignment\.endpoints\[0\]\.lbEndpoints\[0\]\.endpoint\.address\.socketAddress: 127\.0\.0\.1:5681 is the HTTP API/,
  ],
  [
    "a cluster of v2 in snake case",
    {
      "@type": `${v2}.Cluster`,
      name: "c",
      type: "STRICT_DNS",
      hosts: [{ socket_address: { address: "localhost", port_value: "5679" } }],
    },
    /hosts.*localhost:5679 is the token server/,
  ],
  [
    "an assignment",
    { "@type": `${v2}.ClusterLoadAssignment`, cluster_name: "c", endpoints: endpoints(to("192.0.2.1", 5682)) },
    /192\.0\.2\.1:5682 is the bootstrap server/,
  ],
  [
    "an address inside of an Any",
    {
      "@type": `${v3}.cluster.v3.Cluster`,
      name: "c",
      metadata: { typedFilterMetadata: { x: { "@type": `${v3}.core.v3.Address`, ...to("::1", 5678) } } },
    },
    /typedFilterMetadata.*::1:5678 is the xDS server/,
  ],
  [
    "a listener",
    { "@type": `${v3}.listener.v3.Listener`, name: "l", address: to("0.0.0.0", 5681) },
    /address\.socketAddress: 0\.0\.0\.0:5681/,
  ],
  [
    "a cluster whose clients choose where it goes",
    {
      "@type": `${v3}.cluster.v3.Cluster`,
      name: "c",
      type: "ORIGINAL_DST",
      lbPolicy: "CLUSTER_PROVIDED",
      originalDstLbConfig: { useHttpHeader: true },
    },
    /originalDstLbConfig\.useHttpHeader: lets clients choose any address/,
  ],
];

for (const [what, resource, message] of leading) {
  test(`are forbidden for raw resources: ${what}`, async () => {
    const door = await api();
    const put = (text: string) =>
      door.put("/meshes/default/proxytemplates/t", {
        type: "ProxyTemplate",
        mesh: "default",
        name: "t",
        resources: [{ name: "r", version: "1", resource: text }],
      });
    const answer = await put(JSON.stringify(resource));
    assert.is(answer.status, 400);
    assert.match(causesOf(answer)[0]?.message ?? "", message);
    const elsewhere = JSON.stringify(resource)
      .replace(/"?56(7|8)\d"?/, "9999")
      .replace('"useHttpHeader":true', '"useHttpHeader":false');
    assert.is((await put(elsewhere)).status, 201, JSON.stringify((await put(elsewhere)).json));
  });
}

test.run();
