import { createPrivateKey, X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import tls from "node:tls";
import * as assert from "uvu/assert";
import { createCertificate } from "../../../src/ctl/certificate.js";
import { createServerCertificate, type ServerCertificate } from "../../../src/identity/server-certificate.js";
import { suite } from "../../support/suite.js";
import { createScratch, describe, openssl, refusal } from "./stage.js";

const test = suite("self-signed certificates of servers");

const scratch = createScratch();
test.after(() => scratch.remove());

const sds = {
  commonName: "kuma-sds",
  hosts: ["cp.example.com", "localhost", "127.0.0.1", "::1", "::ffff:10.0.0.1", "localhost"],
};

test("a certificate names its hosts once each and in order, and passes every check", async () => {
  const now = new Date("2026-05-06T07:08:09.500Z");
  const { cert, key } = await createServerCertificate({ ...sds, now });
  const certificate = new X509Certificate(cert);
  assert.is(certificate.subject, "CN=kuma-sds");
  assert.is(
    certificate.subjectAltName,
    "DNS:cp.example.com, DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, IP Address:0:0:0:0:0:FFFF:A00:1",
  );
  assert.is(certificate.validFromDate.toISOString(), "2026-05-06T07:07:09.000Z");
  assert.is(certificate.validToDate.toISOString(), "2036-05-06T07:08:09.000Z");
  assert.match(key, /^-----BEGIN RSA PRIVATE KEY-----\n/);
  assert.ok(certificate.checkPrivateKey(createPrivateKey(key)) && certificate.ca);
  assert.is(certificate.publicKey.asymmetricKeyDetails?.modulusLength, 2048);
  const text = describe(cert);
  assert.match(text, /X509v3 Key Usage: critical\n +Digital Signature, Key Encipherment, Certificate Sign\n/);
  assert.match(text, /Extended Key Usage: ?\n +TLS Web Server Authentication\n/);
  const file = scratch.write("server.pem", cert);
  const at = `${Math.floor(now.getTime() / 1000)}`;
  const check = ["verify", "-x509_strict", "-attime", at, "-purpose", "sslserver", "-CAfile", file];
  for (const host of [
    ["-verify_hostname", "cp.example.com"],
    ["-verify_ip", "127.0.0.1"],
    ["-verify_ip", "::1"],
  ]) {
    assert.is(openssl([...check, ...host, file]), `${file}: OK\n`);
  }
});

/** A certificate that the holder of another certificate's key has signed with it. */
function issuedBy({ cert, key }: ServerCertificate): string {
  const [authority, authorityKey] = [scratch.write("issuer.pem", cert), scratch.write("issuer.key", key)];
  const request = ["req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=intruder"];
  const asked = scratch.write("asked.csr", openssl([...request, "-keyout", scratch.write("intruder.key", "")]));
  return openssl(["x509", "-req", "-in", asked, "-CA", authority, "-CAkey", authorityKey, "-set_serial", "7"]);
}

test("certificates that kumactl generates are for one side, and are not CAs", async () => {
  for (const [usage, purpose, others] of [
    ["client", "sslclient", "sslserver"],
    ["server", "sslserver", "sslclient"],
  ] as const) {
    const { cert, key } = await createCertificate({ usage, hosts: [], now: new Date() });
    assert.not(new X509Certificate(cert).ca);
    const text = describe(cert);
    assert.match(text, /X509v3 Basic Constraints: critical\n +CA:FALSE\n/);
    assert.match(text, /X509v3 Key Usage: critical\n +Digital Signature, Key Encipherment\n/);
    const file = scratch.write(`${usage}.pem`, cert);
    const check = (wanted: string, ...more: string[]) =>
      openssl(["verify", "-x509_strict", "-purpose", wanted, "-CAfile", file, ...more]);
    assert.is(check(purpose, file), `${file}: OK\n`);
    assert.throws(() => check(others, file), /purpose/);
    const issued = scratch.write(`${usage}-issued.pem`, issuedBy({ cert, key }));
    assert.throws(() => check(purpose, issued), /CA|issuer/);
  }
});

test("a client that trusts the certificate alone reaches each of its hosts and no other", async () => {
  const { cert, key } = await createServerCertificate({ ...sds, now: new Date() });
  const listener = tls.createServer({ cert, key }, (socket) => socket.end("hello"));
  listener.on("tlsClientError", () => undefined);
  await once(listener.listen(0, "127.0.0.1"), "listening");
  const { port } = listener.address() as AddressInfo;
  const ask = async (host: string) => {
    const names = host === "127.0.0.1" ? {} : { servername: host };
    const socket = tls.connect({ host: "127.0.0.1", port, ca: [cert], ...names });
    let said = "";
    for await (const chunk of socket) said += chunk;
    return said;
  };
  for (const host of ["127.0.0.1", "localhost", "cp.example.com"]) assert.is(await ask(host), "hello");
  await ask("kuma-sds").then(
    () => assert.unreachable(),
    (error: NodeJS.ErrnoException) => assert.is(error.code, "ERR_TLS_CERT_ALTNAME_INVALID"),
  );
  await new Promise((resolve) => listener.close(resolve));
});

test("hosts that are invalid in a certificate are rejected by name", async () => {
  for (const host of ["", "a b", "b\u00fccher.example", "fe80::1%eth0"]) {
    const { id, message } = await refusal(() => createServerCertificate({ ...sds, hosts: [host], now: new Date() }));
    assert.is(id, "certificate.host");
    assert.match(message, `the host "${host}"`);
  }
  const none = await refusal(() => createServerCertificate({ ...sds, hosts: [], now: new Date() }));
  assert.is(none.message, "a server's certificate needs at least one host");
});

test.run();
