import { createPrivateKey, X509Certificate } from "node:crypto";
import * as assert from "uvu/assert";
import { createRoot } from "../../../src/identity/root.js";
import { suite } from "../../support/suite.js";
import { createScratch, describe, keyTypes, openssl } from "./stage.js";

const test = suite("root certificates of a mesh");

const scratch = createScratch();
test.after(() => scratch.remove());

for (const keyType of keyTypes) {
  test(`an ${keyType} root names its mesh, may sign certificates and nothing else`, async () => {
    const now = new Date("2026-05-06T07:08:09.500Z");
    const { cert, key } = await createRoot({ mesh: "demo", keyType, now });
    const certificate = new X509Certificate(cert);
    assert.is(certificate.subject, "O=Kuma\nOU=Mesh\nCN=demo");
    assert.is(certificate.issuer, certificate.subject);
    assert.is(certificate.subjectAltName, "URI:spiffe://demo");
    assert.ok(certificate.ca && certificate.checkIssued(certificate) && certificate.verify(certificate.publicKey));
    assert.is(certificate.validFromDate.toISOString(), "2026-05-06T07:07:09.000Z");
    assert.is(certificate.validToDate.toISOString(), "2036-05-06T07:08:09.000Z");
    assert.match(key, /^-----BEGIN PRIVATE KEY-----\n/);
    assert.ok(certificate.checkPrivateKey(createPrivateKey(key)));
    const details = certificate.publicKey.asymmetricKeyDetails;
    if (keyType === "rsa-2048") assert.is(details?.modulusLength, 2048);
    else assert.is(details?.namedCurve, "prime256v1");
    const text = describe(cert);
    assert.match(text, /Version: 3 /);
    assert.match(text, /Basic Constraints: critical\n +CA:TRUE\n/);
    assert.match(text, /X509v3 Key Usage: critical\n +Certificate Sign, CRL Sign\n/);
    assert.match(text, /Subject Key Identifier: ?\n +([0-9A-F]{2}:){19}[0-9A-F]{2}\n/);
    const file = scratch.write(`${keyType}.pem`, cert);
    const at = `${Math.floor(now.getTime() / 1000)}`;
    assert.is(openssl(["verify", "-x509_strict", "-attime", at, "-CAfile", file, file]), `${file}: OK\n`);
  });
}

test("two roots of one mesh have the same name, but different serial numbers and key identifiers", async () => {
  const request = { mesh: "demo", keyType: "ecdsa-p256", now: new Date() } as const;
  const texts = [describe((await createRoot(request)).cert), describe((await createRoot(request)).cert)];
  for (const part of [/Serial Number:\n.+/, /Subject Key Identifier: ?\n.+/]) {
    const [one, other] = texts.map((text) => part.exec(text)?.[0]);
    assert.ok(one !== undefined && other !== undefined);
    assert.is.not(one, other);
  }
});

test("a root may expire after 2049 and its mesh may have the longest name", async () => {
  const mesh = "m".repeat(100);
  const { cert } = await createRoot({ mesh, keyType: "ecdsa-p256", now: new Date("2049-12-31T23:59:59Z") });
  const certificate = new X509Certificate(cert);
  assert.is(certificate.validToDate.toISOString(), "2059-12-31T23:59:59.000Z");
  assert.is(certificate.subjectAltName, `URI:spiffe://${mesh}`);
  const file = scratch.write("late.pem", cert);
  const at = `${Date.parse("2055-01-01T00:00:00Z") / 1000}`;
  assert.is(openssl(["verify", "-x509_strict", "-attime", at, "-CAfile", file, file]), `${file}: OK\n`);
});

test.run();
