import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import * as assert from "uvu/assert";
import { BootstrapSchema } from "../../proto-gen/es/envoy/config/bootstrap/v3/bootstrap_pb.js";
import { ApiConfigSource_ApiType, ApiVersion } from "../../proto-gen/es/envoy/config/core/v3/config_source_pb.js";
import { generate } from "../../src/envoy/generate.js";
import { createServerCertificate } from "../../src/identity/server-certificate.js";
import { bin } from "../support/executable.js";
import { dataplane, meshRecord, meshViewOf, permission } from "../support/mesh-view.js";
import { suite } from "../support/suite.js";
import { readCluster, readListener } from "../support/tls-decoding.js";

const test = suite("what we generate, as Envoy reads it", { needs: "envoy" });

const directory = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-generated-"));
test.after(() => fs.rmSync(directory, { recursive: true, force: true }));

let root = "";
test.before(async () => {
  root = (await createServerCertificate({ commonName: "kuma-sds", hosts: ["localhost"], now: new Date() })).cert;
  fs.writeFileSync(path.join(directory, "token"), "a.token.of-three-parts");
});

const many = Array.from({ length: 300 }, (_, index) => ({ match: { service: `client-${index}` } }));

const proxy = (transparent: boolean) =>
  dataplane("p", {
    inbound: [
      { interface: "127.0.0.1:18000:80", tags: { service: "listed" } },
      { interface: "127.0.0.1:18001:80", tags: { service: "nobodys" } },
      { interface: "127.0.0.1:18002:81", tags: { service: "anyones" } },
      { interface: "127.0.0.1:18003:82", tags: { service: "many" } },
      { interface: "127.0.0.1:18004:83", tags: { service: "a" } },
      { interface: "127.0.0.1:18004:83", tags: { service: "b_c.d~e:80" } },
    ],
    outbound: [
      { interface: ":18100", service: "redis" },
      { interface: "127.0.0.1:18101", service: "x.y:5432" },
    ],
    ...(transparent ? { transparentProxying: { redirectPort: 18200 } } : {}),
  });

const permissions = [
  permission("listed", { sources: [{ match: { service: "web" } }], destinations: [{ match: { service: "listed" } }] }),
  permission("any", { sources: [{ match: { service: "*" } }], destinations: [{ match: { service: "anyones" } }] }),
  permission("many", { sources: many, destinations: [{ match: { service: "many" } }] }),
  permission("odd", { sources: [{ match: { service: "b_c.d~e:80" } }], destinations: [{ match: { service: "a" } }] }),
];

/** A bootstrap with a proxy's whole configuration in it. */
function bootstrap(mtls: boolean, transparent: boolean, tokenPath: string | undefined): Uint8Array {
  const mesh = meshViewOf(meshRecord(mtls), proxy(transparent), ...permissions);
  const view = mesh.proxies.get("p");
  if (view === undefined) throw new Error("the dataplane is missing");
  const surroundings = { connectTimeoutMs: 5000, secretServer: { target: "localhost:5677", root } };
  const { lds, cds } = generate(view, mesh, surroundings, tokenPath).config;
  return toBinary(
    BootstrapSchema,
    create(BootstrapSchema, {
      node: { id: "m.p", cluster: "listed" },
      dynamicResources: {
        adsConfig: {
          apiType: ApiConfigSource_ApiType.DELTA_GRPC,
          transportApiVersion: ApiVersion.V3,
          grpcServices: [{ targetSpecifier: { case: "envoyGrpc", value: { clusterName: "localhost:80" } } }],
        },
      },
      staticResources: {
        listeners: [...lds.values()].map(readListener),
        clusters: [...cds.values()].map(readCluster),
      },
    }),
  );
}

const cases: readonly (readonly [title: string, mtls: boolean, transparent: boolean, tokenPath?: string])[] = [
  ["plaintext", false, false],
  ["plaintext behind redirected connections", false, true],
  ["mTLS without a token", true, false],
  ["mTLS with a token", true, false, "token"],
  ["mTLS with a token behind redirected connections", true, true, "token"],
];

for (const [title, mtls, transparent, tokenPath] of cases) {
  test(`${title}: listeners and clusters pass Envoy's own validation, without a warning`, () => {
    const file = path.join(directory, "bootstrap.pb");
    fs.writeFileSync(file, bootstrap(mtls, transparent, tokenPath));
    const { status, stdout, stderr } = spawnSync(
      path.join(bin, "envoy"),
      ["--mode", "validate", "--config-path", file, "--disable-hot-restart"],
      { cwd: directory, encoding: "utf8", timeout: 30_000 },
    );
    assert.is(status, 0, stderr);
    assert.match(stdout + stderr, /configuration '.*' OK/);
    assert.not.match(stderr, /\[(warning|error|critical)\]/);
  });
}

test.run();
