import { X509Certificate } from "node:crypto";
import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import { greeting, type MeshStage, openMeshStage, reaches, type Sidecar } from "../support/mesh-stage.js";
import { freePort } from "../support/ports.js";
import { fetchCredentials, openBareDiscovery, openSecretStream } from "../support/secret-client.js";
import { suite } from "../support/suite.js";

const test = suite("certificates and roots are replaced under traffic", { needs: "envoy" });

let stage: MeshStage;
let backend: Sidecar;
let redis: Sidecar;
const ports = { redis: 0, backend: 0, out: 0 };

test.before(async () => {
  for (const key of Object.keys(ports) as (keyof typeof ports)[]) ports[key] = await freePort();
  stage = await openMeshStage({ KUMA_CA_BUILTIN_WORKLOAD_CERT_VALIDITY: "4s" });
  const { port } = await stage.application("redis-1");
  await stage.mtls(true);
  await stage.permit("everybody", ["*"], ["*"]);
  await stage.apply("redis-1", {
    inbound: [{ interface: `127.0.0.1:${ports.redis}:${port}`, tags: { service: "redis" } }],
  });
  await stage.apply("backend-1", {
    inbound: [{ interface: `127.0.0.1:${ports.backend}:${port}`, tags: { service: "backend" } }],
    outbound: [{ interface: `:${ports.out}`, service: "redis" }],
  });
  redis = await stage.sidecar("redis-1");
  backend = await stage.sidecar("backend-1");
  await reaches(ports.out, "redis-1");
});

test.after(() => stage.close());

/** Opens connections one after the other until stopped; keeps every failure. */
function traffic() {
  const failures: string[] = [];
  let connections = 0;
  let stopped = false;
  const run = (async () => {
    while (!stopped) {
      const answer = await greeting(ports.out).catch((error: Error) => error.message);
      connections += 1;
      if (answer !== "redis-1") failures.push(answer);
    }
  })();
  return async () => {
    stopped = true;
    await run;
    return { connections, failures };
  };
}

/** The serial number of the certificate that a sidecar's Envoy presents at present. */
async function serial(sidecar: Sidecar): Promise<string> {
  const { certificates } = JSON.parse(await sidecar.ask("/certs")) as {
    certificates: { cert_chain: { serial_number: string }[] }[];
  };
  return (
    certificates.flatMap(({ cert_chain }) => cert_chain).find((cert) => cert.serial_number !== "")?.serial_number ?? ""
  );
}

interface Authority {
  readonly state: string;
  readonly roots: readonly { readonly fingerprint: string; readonly signing: boolean }[];
  readonly retiresAt?: string;
}

async function authority(): Promise<Authority> {
  const response = await fetch(`${stage.cp.api}/meshes/default/certificate-authority`);
  assert.is(response.status, 200);
  return (await response.json()) as Authority;
}

test("certificates valid for seconds are renewed on the open stream, and no connection fails", async () => {
  const stop = traffic();
  for (const sidecar of [backend, redis]) {
    const seen = new Set<string>();
    await eventually(
      "three certificates",
      async () => {
        const now = await serial(sidecar);
        if (now !== "") seen.add(now);
        return seen.size >= 3;
      },
      30_000,
    );
    assert.match(await sidecar.ask("/stats?filter=sds.identity_cert.*streams_total"), /streams_total: 1\n/);
  }
  const { connections, failures } = await stop();
  assert.equal(failures, []);
  assert.ok(connections > 100, `${connections} connections`);
});

test("a new certificate is sent when the services of a dataplane change", async () => {
  const networking = (service: string) => ({
    inbound: [{ interface: "127.0.0.1:1:2", tags: { service } }],
  });
  await stage.apply("changing-1", networking("before"));
  const stream = await openSecretStream(stage.cp.sdsPort, "default.changing-1", await stage.token("changing-1"));
  stream.request(["identity_cert"]);
  const first = await stream.next(1);
  assert.is(new X509Certificate(first.certificate ?? "").subjectAltName, "URI:spiffe://default/before");
  stream.request(["identity_cert"], first.nonce);
  await stage.apply("changing-1", networking("after"));
  const second = await stream.next(2);
  assert.is(new X509Certificate(second.certificate ?? "").subjectAltName, "URI:spiffe://default/after");
  stream.close();
  await stage.remove("/meshes/default/dataplanes/changing-1");
});

test("a rotation of the CA passes through its states, shows them, and no connection fails", async () => {
  const before = await authority();
  assert.is(before.state, "active");
  assert.is(before.roots.length, 1);
  // A dataplane that doesn't acknowledge holds the rotation up, and is named.
  await stage.apply("slow-1", { inbound: [{ interface: "127.0.0.1:1:2", tags: { service: "slow" } }] });
  const connected = openBareDiscovery(stage.cp.xdsPort, "default.slow-1");
  const slow = await openSecretStream(stage.cp.sdsPort, "default.slow-1");
  slow.request(["mesh_ca"]);
  slow.request(["mesh_ca"], (await slow.next(1)).nonce);

  const stop = traffic();
  const { status, stdout } = stage.kumactl("manage", "ca", "rotate");
  assert.is(status, 0);
  assert.match(stdout, /^the rotation has begun in mesh "default"\n/);
  const added = await slow.next(2);
  assert.is(added.bundle?.match(/BEGIN CERTIFICATE/g)?.length, 2);
  await eventually("only the slow one is waited for", () => {
    return /new root is not trusted yet by slow-1\n/.test(stage.kumactl("get", "meshes").stdout);
  });
  assert.is((await authority()).state, "distributing");
  assert.match(stage.kumactl("manage", "ca", "rotate").stdout, /^a rotation is already in progress/);
  const signing = await fetchCredentials(stage.cp.sdsPort, "default.backend-1", await stage.token("backend-1"));
  const issuedBefore = new X509Certificate(signing.cert);

  slow.request(["mesh_ca"], added.nonce);
  const retiring = await eventually("the new root signs", async () => {
    const now = await authority();
    return now.state === "retiring" ? now : undefined;
  });
  assert.is(retiring.roots.length, 2);
  assert.is.not(retiring.roots[0]?.fingerprint, before.roots[0]?.fingerprint);
  assert.is(retiring.roots[1]?.fingerprint, before.roots[0]?.fingerprint);
  assert.match(stage.kumactl("get", "meshes").stdout, /the new root signs, the old one retires at 2/);
  assert.match(stage.kumactl("get", "meshes").stdout, /^NAME +mTLS +CA\n/);

  await eventually("the old root is gone", async () => (await authority()).state === "active", 40_000);
  const after = await authority();
  assert.equal(
    after.roots.map(({ fingerprint }) => fingerprint),
    [retiring.roots[0]?.fingerprint],
  );
  assert.not.match(stage.kumactl("get", "meshes").stdout, /CA/);
  await reaches(ports.out, "redis-1");
  const { connections, failures } = await stop();
  assert.equal(failures, []);
  assert.ok(connections > 100, `${connections} connections`);
  const now = await fetchCredentials(stage.cp.sdsPort, "default.backend-1", await stage.token("backend-1"));
  const root = new X509Certificate(now.ca);
  assert.ok(new X509Certificate(now.cert).verify(root.publicKey));
  assert.not.ok(issuedBefore.verify(root.publicKey));
  slow.close();
  connected.close();
});

test("rotating the CA of a missing mesh is an error", () => {
  const { status, stderr } = stage.kumactl("manage", "ca", "rotate", "--mesh", "ghost");
  assert.is(status, 1);
  assert.is(stderr, 'Error: there is no Mesh with name "ghost"\n');
});

test.run();
