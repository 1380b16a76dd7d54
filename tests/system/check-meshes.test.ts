import fs from "node:fs";
import path from "node:path";
import * as assert from "uvu/assert";
import { createServerCertificate } from "../../src/identity/server-certificate.js";
import { eventually } from "../support/eventually.js";
import { put, startControlPlane } from "../support/executable.js";
import { type Http2Proxy, startHttp2Proxy } from "../support/http2-proxy.js";
import { openCheck } from "../support/kumactl-check.js";
import { type MeshStage, openMeshStage, reaches } from "../support/mesh-stage.js";
import { freePort } from "../support/ports.js";
import { suite } from "../support/suite.js";
import { configDirs, envoyOf } from "./dp-stage.js";

const test = suite("kumactl check misses no problem", { needs: "envoy" });

const kumactl = openCheck();
let stage: MeshStage;
let balancer: Http2Proxy;
let out: number;

const until = (id: string, result: "success" | "warning" | "error") => kumactl.until(stage.cp.api, id, result);

/** Waits until no check finds anything; what a test before left, or fails to leave, is named by the failure. */
const healthy = () =>
  eventually("no check finds anything", async () => {
    const found = (await kumactl.findings(stage.cp.api)).filter(({ result }) => result !== "success");
    if (found.length > 0) throw new Error(JSON.stringify(found));
    return true;
  });

test.before(async () => {
  balancer = await startHttp2Proxy();
  stage = await openMeshStage({ KUMA_BOOTSTRAP_SERVER_PARAMS_XDS_PORT: String(balancer.port) });
  balancer.target = stage.cp.xdsPort;
  const { port } = await stage.application("server");
  out = await freePort();
  application = port;
  await serverAt(await freePort());
  await client("server");
  await stage.sidecar("server-1");
  await stage.sidecar("client-1");
  await reaches(out, "server");
});
test.after(async () => {
  await stage.close();
  await balancer.close();
  kumactl.close();
});

const clientPort = freePort();
const clientWorkload = freePort();
let application: number;

/** The server's Dataplane, with its inbound on this port. */
const serverAt = (port: number) =>
  stage.apply("server-1", {
    inbound: [{ interface: `127.0.0.1:${port}:${application}`, tags: { service: "server" } }],
  });

/** The client's Dataplane, whose outbound leads to this service. */
async function client(service: string): Promise<void> {
  await stage.apply("client-1", {
    inbound: [{ interface: `127.0.0.1:${await clientPort}:${await clientWorkload}`, tags: { service: "client" } }],
    outbound: [{ interface: `127.0.0.1:${out}`, service }],
  });
}

const apply = (collection: string, type: string, name: string, spec: object) =>
  put(stage.cp.api, `/meshes/default/${collection}/${name}`, { type, mesh: "default", name, ...spec });
const select = (service: string) => [{ match: { service } }];

test("a healthy mesh passes, and checks that do not apply are omitted", async () => {
  await healthy();
  const ids = (await kumactl.findings(stage.cp.api)).map(({ id }) => id);
  for (const id of [
    "api-exposure",
    "api-authentication",
    "token-server",
    "token",
    "certificate",
    "authority-validity",
  ]) {
    assert.not.ok(ids.includes(id), id);
  }
  for (const id of ["store", "sds-certificate", "limits", "updates", "destinations", "policies"])
    assert.ok(ids.includes(id), id);
});

test("a second sidecar under one name, as soon as it connects", async () => {
  const second = await stage.sidecar("server-1");
  const { reason = "", fix = "" } = await until("duplicate", "warning");
  assert.match(reason, /^2 proxies are connected as "server-1" in mesh "default", since 20/);
  assert.match(fix, /keep this Dataplane/);
  const refused = await until("configuration", "error");
  assert.match(
    refused.reason ?? "",
    /^one of 2 Envoys \(see above\) of "server-1" in mesh "default" refuses LDS .*cannot bind/,
  );
  await second.stop();
  await healthy();
});

test("an outbound to a service without dataplanes", async () => {
  await client("sever");
  const { reason } = await until("destinations", "error");
  assert.is(reason, 'mesh "default": no dataplane offers "sever"');
  await client("server");
  await healthy();
});

test("a policy that matches nothing, a log without a backend, and a template that removes listeners", async () => {
  await apply("health-checks", "HealthCheck", "typo", {
    sources: select("client"),
    destinations: select("sever"),
    conf: { passiveChecks: { unhealthyThreshold: 3, penaltyInterval: "5s" } },
  });
  assert.is(
    (await until("policies", "warning")).reason,
    'mesh "default": HealthCheck "typo" matches no dataplane: no dataplane has service=sever',
  );
  await stage.remove("/meshes/default/health-checks/typo");
  await until("policies", "success");

  await apply("traffic-logs", "TrafficLog", "all", { rules: [{ sources: select("*"), destinations: select("*") }] });
  assert.match((await until("logs", "warning")).reason ?? "", /TrafficLog "all" .*the Mesh has no defaultBackend$/);
  await stage.remove("/meshes/default/traffic-logs/all");
  await until("logs", "success");

  await apply("proxytemplates", "ProxyTemplate", "bare", { selectors: select("client") });
  assert.match((await until("templates", "warning")).reason ?? "", /a ProxyTemplate removes the listener of client-1/);
  await stage.remove("/meshes/default/proxytemplates/bare");
  await healthy();
  await reaches(out, "server");
});

// Behind a load balancer it keeps its stream, however long it is suspended. Connected directly it would be offline as
// soon as it left one of the control plane's pings unanswered.
test("an Envoy that is suspended behind a load balancer and does not answer", async () => {
  const [directory = ""] = configDirs(stage.temporary);
  const envoy = await envoyOf(directory);
  process.kill(envoy, "SIGSTOP");
  try {
    // Either of the two has to receive this update.
    await client("elsewhere");
    await serverAt(await freePort());
    const { reason } = await until("updates", "error");
    assert.match(
      reason ?? "",
      /^Envoy of "(server|client)-1" in mesh "default" has not responded to the configuration sent at 20/,
    );
  } finally {
    process.kill(envoy, "SIGCONT");
    await client("server");
  }
  await healthy();
  await reaches(out, "server");
});

test("with mTLS on, an outbound that no permission allows", async () => {
  await stage.mtls(true);
  const { reason } = await until("permissions", "warning");
  assert.is(reason, 'mesh "default": no TrafficPermission allows "client" to connect to "server"');
  await stage.permit("everybody", ["*"], ["*"]);
  await until("certificate", "success");
  await healthy();
});

const year = 365 * 86_400_000;

/** A certificate for localhost that was made so long ago, for ten years, and its key: as settings that name the files. */
async function certificate(age: number): Promise<Readonly<Record<string, string>>> {
  const made = await createServerCertificate({
    commonName: "sds",
    hosts: ["localhost"],
    now: new Date(Date.now() - age),
  });
  const files = {
    cert: path.join(stage.temporary, `${age}-cert.pem`),
    key: path.join(stage.temporary, `${age}-key.pem`),
  };
  fs.writeFileSync(files.cert, made.cert);
  fs.writeFileSync(files.key, made.key);
  return { KUMA_SDS_SERVER_TLS_CERT_FILE: files.cert, KUMA_SDS_SERVER_TLS_KEY_FILE: files.key };
}

test("an expired certificate of the SDS server: kuma-cp logs it, and only that check fails", async () => {
  const cp = await startControlPlane(await certificate(11 * year));
  try {
    assert.match(cp.output(), /\tWARN\t\S+\tthe certificate of the SDS server expired at 20\S+Z\. .*restart kuma-cp/);
    const unneeded = await kumactl.find(cp.api, "sds-certificate");
    assert.is(unneeded?.result, "warning", "while no mesh has mTLS nobody asks for certificates");
    await put(cp.api, "/meshes/default", {
      type: "Mesh",
      name: "default",
      mtls: { enabled: true, ca: { builtin: {} } },
    });
    const { reason = "", fix = "" } = await kumactl.until(cp.api, "sds-certificate", "error");
    assert.match(
      reason,
      /^the certificate that the SDS server presents \(KUMA_SDS_SERVER_TLS_CERT_FILE\) expired at 20/,
    );
    assert.match(fix, /^put a new certificate and its key into the files/);
    const findings = await kumactl.findings(cp.api);
    const elsewhere = findings.filter(({ fix: other = "" }) =>
      /KUMA_SDS_SERVER_GRPC_PORT|ADVERTISED_HOSTNAME/.test(other),
    );
    assert.equal(elsewhere, []);
  } finally {
    await cp.stop();
  }
});

test("a valid certificate of the SDS server passes", async () => {
  const cp = await startControlPlane(await certificate(year));
  try {
    assert.not.match(cp.output(), /certificate of the SDS server/);
    assert.is((await kumactl.find(cp.api, "sds-certificate"))?.result, "success");
  } finally {
    await cp.stop();
  }
});

test.run();
