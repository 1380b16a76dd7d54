import { create } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import * as assert from "uvu/assert";
import { ClusterSchema } from "../../../proto-gen/es/envoy/config/cluster/v3/cluster_pb.js";
import { SecretSchema } from "../../../proto-gen/es/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import { UpstreamTlsContextSchema } from "../../../proto-gen/es/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { connectTimeoutMs, generate } from "../../../src/envoy/generate.js";
import { resourceJson } from "../../../src/envoy/json.js";
import { createPlacement } from "../../../src/envoy/placement.js";
import { readRaw } from "../../../src/envoy/raw/native.js";
import { encode, kinds } from "../../../src/envoy/resource.js";
import { policyMesh } from "../../support/explained-meshes.js";
import { meshViewOf } from "../../support/mesh-view.js";
import { suite } from "../../support/suite.js";

const test = suite("resources as Envoy JSON");

const inline = (value: string) => ({ specifier: { case: "inlineString" as const, value } });
const hidden = "[redacted]";

test("every generated resource can be shown", () => {
  // A template that imports nothing would leave nothing to show.
  const mesh = meshViewOf(...policyMesh.filter(({ type }) => type !== "ProxyTemplate"));
  const proxy = mesh.proxies.get("web-1");
  if (proxy === undefined) throw new Error("there is no web-1");
  const options = { connectTimeoutMs, secretServer: { target: "cp:5677", root: "a certificate" } };
  const { config } = generate(proxy, mesh, options, createPlacement({ tokenPath: "/run/token" }));
  let shown = 0;
  for (const kind of kinds) {
    for (const resource of config[kind].values()) {
      const json = resourceJson(kind, resource);
      assert.match(Object.keys(json)[0] ?? "", "@type");
      shown += 1;
    }
  }
  assert.ok(shown > 6);
  const listener = [...config.lds.values()][0];
  const text = JSON.stringify(listener && resourceJson("lds", listener));
  for (const known of ["identity_cert", "spiffe://m/shop", "/run/token", "cp:5677"]) assert.match(text, known);
  assert.not.match(text, hidden);
});

test("private keys are redacted wherever they are, and nothing else is", () => {
  const certificate = {
    certificateChain: inline("public"),
    privateKey: inline("confidential"),
    password: { specifier: { case: "filename" as const, value: "/run/password" } },
  };
  const context = create(UpstreamTlsContextSchema, {
    sni: "name",
    commonTlsContext: { tlsCertificates: [certificate] },
  });
  const cluster = create(ClusterSchema, {
    name: "raw",
    transportSocket: {
      name: "tls",
      configType: { case: "typedConfig", value: anyPack(UpstreamTlsContextSchema, context) },
    },
  });
  const certificates = [
    {
      certificateChain: { inlineString: "public" },
      privateKey: { inlineString: hidden },
      password: { filename: "/run/password" },
    },
  ];
  assert.equal(resourceJson("cds", encode(ClusterSchema, "raw", cluster, { raw: true })), {
    "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
    name: "raw",
    transportSocket: {
      name: "tls",
      typedConfig: {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        commonTlsContext: { tlsCertificates: certificates },
        sni: "name",
      },
    },
  });
  const secrets = [
    create(SecretSchema, { name: "s", type: { case: "tlsCertificate", value: certificate } }),
    create(SecretSchema, { name: "s", type: { case: "sessionTicketKeys", value: { keys: [inline("confidential")] } } }),
    create(SecretSchema, { name: "s", type: { case: "genericSecret", value: { secret: inline("confidential") } } }),
  ];
  for (const secret of secrets) {
    const text = JSON.stringify(resourceJson("sds", encode(SecretSchema, "s", secret, { raw: true })));
    assert.not.match(text, "confidential");
    assert.match(text, hidden);
  }
});

test("raw resources may contain any type of Envoy's configuration", () => {
  const text = "{'@type': type.googleapis.com/envoy.api.v2.RouteConfiguration, name: r, virtualHosts: []}";
  const reading = readRaw(text);
  if (!reading.valid) throw new Error(JSON.stringify(reading.problems));
  assert.equal(resourceJson(reading.raw.kind, reading.raw.resource), {
    "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
    name: "r",
  });
});

test("an Any of an unknown type is an error, and not left out", () => {
  const cluster = create(ClusterSchema, {
    name: "raw",
    transportSocket: {
      name: "x",
      configType: {
        case: "typedConfig",
        value: {
          $typeName: "google.protobuf.Any",
          typeUrl: "type.googleapis.com/no.such.Type",
          value: new Uint8Array(),
        },
      },
    },
  });
  assert.throws(() => resourceJson("cds", encode(ClusterSchema, "raw", cluster, { raw: true })), "no.such.Type");
});

test.run();
