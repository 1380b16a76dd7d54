import { createPrivateKey, X509Certificate } from "node:crypto";
import fs from "node:fs";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import path from "node:path";
import * as assert from "uvu/assert";
import { createCertificate } from "../../../src/ctl/certificate.js";
import { findTokenServer, readTokenApi, requestToken } from "../../../src/ctl/token-client.js";
import { suite } from "../../support/suite.js";
import { bodyOf, createHome, startServer } from "./stage.js";

const test = suite("kumactl generate and install");

let home = createHome();
test.before.each(() => {
  home = createHome();
});
test.after.each(() => home.remove());

const token = "aaa.bbb.ccc";

/** A control plane with its token server in one. */
async function startTokenServer(answer: { status: number; body: string } = { status: 200, body: token }) {
  const requests: unknown[] = [];
  const server = await startServer(async (request, response) => {
    if (request.method === "GET" && request.url === "/catalogue") {
      response.end(
        JSON.stringify({ apis: { dataplaneToken: { localUrl: `http://${request.headers.host}`, publicUrl: "" } } }),
      );
    } else if (request.method === "POST" && request.url === "/tokens") {
      requests.push(JSON.parse(await bodyOf(request)));
      response.writeHead(answer.status, { "content-type": "text/plain" }).end(answer.body);
    } else response.writeHead(404).end();
  });
  home.pointTo(server.url);
  return { ...server, requests };
}

test("a token is printed without a line break, under either spelling of the flag", async () => {
  const server = await startTokenServer();
  for (const flag of ["--name=a", "--dataplane=a"]) {
    assert.equal(await home.run(["generate", "dataplane-token", flag, "--mesh=m"]), { code: 0, out: token, err: "" });
  }
  await home.run(["generate", "dataplane-token", "--name", "b", "--valid-for", "720h"]);
  assert.equal(server.requests, [
    { name: "a", mesh: "m" },
    { name: "a", mesh: "m" },
    { name: "b", mesh: "default", validFor: "720h" },
  ]);
  await server.close();
});

test("flags of a token are checked before anything is asked", async () => {
  assert.match((await home.run(["generate", "dataplane-token"])).err, /^Error: required flag\(s\) "name" not set\n/);
  for (const [value, expected] of [
    ["soon", '"soon" is not a duration'],
    ["0", "has to be longer than 0s"],
    ["-1h", "--valid-for"],
  ]) {
    const { code, err } = await home.run(["generate", "dataplane-token", "--name=a", `--valid-for=${value}`]);
    assert.is(code, 1);
    assert.match(err, expected ?? "");
  }
});

test("a rejection is shown with its status", async () => {
  const server = await startTokenServer({ status: 400, body: "mesh cannot be empty" });
  const { code, err } = await home.run(["generate", "dataplane-token", "--name=a"]);
  assert.is(code, 1);
  assert.is(
    err,
    "Error: failed to generate a dataplane token: unexpected status code 400: mesh cannot be empty. Expected 200\n",
  );
  await server.close();
});

test("a control plane without a token server says how to enable it", async () => {
  for (const catalogue of ['{"apis":{"dataplaneToken":{"localUrl":"","publicUrl":""}}}', "{}"]) {
    const server = await startServer((_, response) => response.end(catalogue));
    home.pointTo(server.url);
    const { code, err } = await home.run(["generate", "dataplane-token", "--name=a"]);
    assert.is(code, 1);
    assert.is(
      err,
      "Error: failed to create dataplane token client: Enable the server on the Control Plane to be able to generate tokens (KUMA_DATAPLANE_TOKEN_SERVER_ENABLED=true).\n",
    );
    await server.close();
  }
});

test("an unreachable control plane or token server is an error of its step", async () => {
  const gone = await startServer(() => undefined);
  await gone.close();
  home.pointTo(gone.url);
  assert.match(
    (await home.run(["generate", "dataplane-token", "--name=a"])).err,
    /^Error: failed to create dataplane token client: could not reach/,
  );
  const half = await startServer((_, response) =>
    response.end(JSON.stringify({ apis: { dataplaneToken: { localUrl: gone.url, publicUrl: "" } } })),
  );
  home.pointTo(half.url);
  assert.match(
    (await home.run(["generate", "dataplane-token", "--name=a"])).err,
    /^Error: failed to generate a dataplane token: could not reach/,
  );
  await half.close();
});

test("from another machine both sides need TLS, and the side that lacks it is named", async () => {
  const address = new URL("http://192.0.2.1:5681");
  const context = { name: "c", controlPlane: "p" };
  const withClient = {
    ...context,
    credentials: { dataplaneTokenApi: { clientCert: "/missing", clientKey: "/missing" } },
  };
  const refusal = async (publicUrl: string, chosen: Parameters<typeof findTokenServer>[2]) => {
    try {
      await findTokenServer({ localUrl: "http://localhost:5679", publicUrl }, address, chosen);
    } catch (error) {
      return error instanceof Error ? error.message : "";
    }
    return "accepted";
  };
  const neither = await refusal("", context);
  assert.match(
    neither,
    "the Control Plane has no public Dataplane Token Server, and kumactl has no client certificate",
  );
  for (const way of ["1) Configure TLS", "2) Run this command on the machine", "3) Forward the port with SSH"])
    assert.match(neither, way);
  assert.match(await refusal("https://cp:5684", context), "but kumactl has no client certificate");
  assert.match(await refusal("", withClient), "but the Control Plane has no public Dataplane Token Server.");
  assert.match(await refusal("https://cp:5684", withClient), "the client certificate can't be read: ENOENT");
  const made = ["generate", "certificate", "--type=client"];
  for (const name of ["a", "b"]) {
    await home.run([...made, `--cert=${path.join(home.path, name)}`, `--key=${path.join(home.path, `${name}.key`)}`]);
  }
  for (const [clientCert, clientKey] of [
    ["a", "b.key"],
    ["a.key", "a.key"],
    ["a", "a"],
  ] as const) {
    const dataplaneTokenApi = {
      clientCert: path.join(home.path, clientCert),
      clientKey: path.join(home.path, clientKey),
    };
    const said = await refusal("https://cp:5684", { ...context, credentials: { dataplaneTokenApi } });
    assert.match(said, `${clientKey}" are not a certificate and its key, both in PEM`);
  }
});

test("the local server is used through any loopback address", async () => {
  const api = readTokenApi({
    apis: { dataplaneToken: { localUrl: "http://localhost:5679", publicUrl: "https://cp:5684" } },
  });
  for (const host of ["localhost", "127.0.0.1", "127.8.8.8", "[::1]"]) {
    const { url } = await findTokenServer(api, new URL(`http://${host}:5681`), { name: "c" });
    assert.is(url.href, "http://localhost:5679/");
  }
});

test("the public server is used with the client certificate, and rejects unknown ones", async () => {
  const now = new Date();
  const [server, client] = await Promise.all([
    createCertificate({ usage: "server", hosts: ["cp.example.com", "127.0.0.1"], now }),
    createCertificate({ usage: "client", hosts: [], now }),
  ]);
  const tls = createTlsServer(
    { ...server, ca: [client.cert], requestCert: true, rejectUnauthorized: true },
    (_, response) => response.end(token),
  );
  tls.on("tlsClientError", () => undefined);
  await new Promise<void>((resolve) => tls.listen(0, "127.0.0.1", resolve));
  const url = new URL(`https://127.0.0.1:${(tls.address() as AddressInfo).port}`);
  assert.is(await requestToken({ url, client }, { name: "a", mesh: "m" }), token);
  await requestToken({ url, client: server }, { name: "a", mesh: "m" }).then(
    () => assert.unreachable(),
    (error: Error) => {
      assert.match(error.message, /^failed to generate a dataplane token: could not reach/);
      assert.match(error.message, /refuses a client certificate that it doesn't know: .*_PUBLIC_CLIENT_CERTS_DIR/);
    },
  );
  tls.closeAllConnections();
  await new Promise((resolve) => tls.close(resolve));
});

test("a server certificate carries its hosts, both flag spellings and both command names work", async () => {
  const key = path.join(home.path, "k");
  const cert = path.join(home.path, "c");
  const { out } = await home.run([
    "generate",
    "certificate",
    `--cert=${cert}`,
    `--key=${key}`,
    "--type=server",
    "--cp-hostname",
    "cp.example.com,10.0.0.1",
  ]);
  assert.is(out, `Certificates generated\nKey was saved in: ${key}\nCert was saved in: ${cert}\n`);
  assert.is(fs.statSync(key).mode & 0o777, 0o400);
  assert.is(fs.statSync(cert).mode & 0o777, 0o644);
  const pem = fs.readFileSync(key, "utf8");
  assert.match(pem, /^-----BEGIN RSA PRIVATE KEY-----\n/);
  const x509 = new X509Certificate(fs.readFileSync(cert));
  assert.is(x509.subject, "CN=kuma");
  assert.is(x509.subjectAltName, "DNS:cp.example.com, IP Address:10.0.0.1, DNS:localhost");
  assert.equal(x509.keyUsage, ["1.3.6.1.5.5.7.3.1"]);
  assert.ok(!x509.ca && x509.verify(x509.publicKey) && x509.checkPrivateKey(createPrivateKey(pem)));
  const years = (Date.parse(x509.validTo) - Date.parse(x509.validFrom)) / (365.25 * 24 * 3600 * 1000);
  assert.is(Math.round(years), 10);
  const again = await home.run([
    "generate",
    "tls-certificate",
    `--cert-file=${cert}`,
    `--key-file=${key}`,
    "--type=client",
  ]);
  assert.is(again.code, 0);
  const client = new X509Certificate(fs.readFileSync(cert));
  assert.is(client.subjectAltName, "DNS:localhost");
  assert.equal(client.keyUsage, ["1.3.6.1.5.5.7.3.2"]);
  assert.not(client.ca);
});

test("a certificate's flags are checked", async () => {
  const wrong = await home.run(["generate", "tls-certificate", "--type=x"]);
  assert.equal(wrong, { code: 1, out: "", err: 'Error: --type has to be either "client" or "server"\n' });
  assert.match((await home.run(["generate", "certificate"])).err, /^Error: required flag\(s\) "type" not set\n/);
  const hosts = await home.run(["generate", "certificate", "--type=client", "--cp-hostname=a"]);
  assert.is(hosts.err, "Error: --cp-hostname is only for a certificate of --type server\n");
  const typo = await home.run(["generate", "certificate", "--cert=c", "--key/path/to/key", "--type=client"]);
  assert.match(typo.err, /^Error: unknown flag: --key\/path\/to\/key/);
  const nowhere = await home.run(["generate", "certificate", "--type=client", "--key=/missing/k", "--cert=/missing/c"]);
  assert.match(nowhere.err, /^Error: failed to write "\/missing\/k": ENOENT/);
});

test("the database schema can be run again at any time", async () => {
  const { code, out } = await home.run(["install", "database-schema"]);
  assert.is(code, 0);
  assert.match(out, /CREATE TABLE IF NOT EXISTS resources \(/);
  for (const column of ["name", "namespace", "mesh", "type", "version", "spec"])
    assert.match(out, new RegExp(`\\n +${column} +`));
  const other = await home.run(["install", "database-schema", "--target=mysql"]);
  assert.equal(other, { code: 1, out: "", err: "Error: unknown target type: mysql\n" });
});

test.run();
