import { X509Certificate } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { type ControlPlane, put, runProgram, startControlPlane, startProgram } from "../support/executable.js";
import { fetchCredentials, presented } from "../support/secret-client.js";
import { suite } from "../support/suite.js";

const test = suite("settings of the secret discovery server");

const directory = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-sds-"));
test.after(() => fs.rmSync(directory, { recursive: true, force: true }));

const file = (name: string) => path.join(directory, name);

async function on(env: Record<string, string>, act: (cp: ControlPlane) => Promise<void>): Promise<void> {
  const cp = await startControlPlane(env);
  try {
    await act(cp);
  } finally {
    await cp.stop();
  }
}

const dataplane = {
  type: "Dataplane",
  mesh: "default",
  name: "web-1",
  networking: { inbound: [{ interface: "127.0.0.1:1:2", tags: { service: "web" } }] },
};

test("its certificate names the advertised host, localhost and 127.0.0.1", async () => {
  await on(
    { KUMA_GENERAL_ADVERTISED_HOSTNAME: "cp.example", KUMA_BOOTSTRAP_SERVER_PARAMS_XDS_HOST: "10.1.2.3" },
    async (cp) => {
      const certificate = new X509Certificate(await presented(cp.sdsPort, { ALPNProtocols: ["h2"] }));
      for (const host of ["cp.example", "localhost"]) assert.is(certificate.checkHost(host), host);
      for (const address of ["10.1.2.3", "127.0.0.1"]) assert.is(certificate.checkIP(address), address);
      assert.is(certificate.subject, "CN=kuma-sds");
      assert.is(certificate.publicKey.asymmetricKeyDetails?.modulusLength, 2048);
      assert.not.match(cp.output(), /\tWARN\t\S+\tthe certificate of the SDS server/);
    },
  );
});

test("the user's own certificate is presented, and a host that it does not contain is a warning", async () => {
  const [cert, key] = [file("server.pem"), file("server.key")];
  const made = runProgram("kumactl", ["generate", "certificate", "--type=server", `--cert=${cert}`, `--key=${key}`]);
  assert.is(made.status, 0);
  const pair = { KUMA_SDS_SERVER_TLS_CERT_FILE: cert, KUMA_SDS_SERVER_TLS_KEY_FILE: key };
  await on(pair, async (cp) => {
    assert.is(await presented(cp.sdsPort, { ALPNProtocols: ["h2"] }), fs.readFileSync(cert, "utf8"));
  });
  await on({ ...pair, KUMA_GENERAL_ADVERTISED_HOSTNAME: "elsewhere.example" }, async (cp) => {
    assert.match(cp.output(), /\tWARN\t\S+\tthe certificate of the SDS server does not name "elsewhere.example"/);
  });
});

test("half a key pair, or files without one, are startup errors that name the setting", async () => {
  fs.writeFileSync(file("junk"), "junk");
  for (const [env, expected] of [
    [{ KUMA_SDS_SERVER_TLS_CERT_FILE: file("server.pem") }, /KUMA_SDS_SERVER_TLS_KEY_FILE have to be given together/],
    [
      { KUMA_SDS_SERVER_TLS_CERT_FILE: file("junk"), KUMA_SDS_SERVER_TLS_KEY_FILE: file("server.key") },
      /KUMA_SDS_SERVER_TLS_CERT_FILE names ".*junk"/,
    ],
    [{ KUMA_CA_BUILTIN_KEY_TYPE: "dsa" }, /KUMA_CA_BUILTIN_KEY_TYPE/],
    [{ KUMA_CA_BUILTIN_WORKLOAD_CERT_VALIDITY: "0s" }, /KUMA_CA_BUILTIN_WORKLOAD_CERT_VALIDITY/],
  ] as const) {
    const running = startProgram("kuma-cp", ["run"], env);
    assert.is(await running.ended, 1);
    assert.match(running.output(), expected);
    assert.not.match(running.output(), /\n {4}at /, "no stack trace");
  }
});

test("keys are RSA when configured, and without a token server any dataplane name is accepted", async () => {
  const env = {
    KUMA_CA_BUILTIN_KEY_TYPE: "rsa-2048",
    KUMA_CA_BUILTIN_WORKLOAD_CERT_VALIDITY: "1h",
    KUMA_DATAPLANE_TOKEN_SERVER_ENABLED: "false",
  };
  await on(env, async (cp) => {
    assert.is(await put(cp.api, "/meshes/default/dataplanes/web-1", dataplane), 201);
    const { cert, ca } = await fetchCredentials(cp.sdsPort, "default.web-1");
    const [certificate, root] = [new X509Certificate(cert), new X509Certificate(ca)];
    for (const { publicKey } of [certificate, root]) {
      assert.is(publicKey.asymmetricKeyType, "rsa");
      assert.is(publicKey.asymmetricKeyDetails?.modulusLength, 2048);
    }
    const minutes = (certificate.validToDate.getTime() - Date.now()) / 60_000;
    assert.ok(minutes > 59 && minutes <= 60, `${minutes} minutes`);
  });
});

test.run();
