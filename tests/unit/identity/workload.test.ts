import { createPrivateKey, X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import tls from "node:tls";
import * as assert from "uvu/assert";
import type { Authority, SigningRoot } from "../../../src/identity/authority.js";
import type { KeyType } from "../../../src/identity/key-pair.js";
import { type Identity, issueIdentity } from "../../../src/identity/workload.js";
import { suite } from "../../support/suite.js";
import { createAuthority, createScratch, day, describe, keyTypes, openssl, refusal } from "./stage.js";

const test = suite("certificates of proxies");

const scratch = createScratch();
test.after(() => scratch.remove());

const ends = (keyType: KeyType) => ({ keyType, now: new Date(), validityMs: 30 * day });

function issue(root: SigningRoot, services: readonly string[], keyType: KeyType = "ecdsa-p256"): Promise<Identity> {
  return issueIdentity(root, { mesh: "demo", services, ...ends(keyType) });
}

/** What `openssl verify` says: OK, or why not. */
function verify(bundle: string, { certificateChain }: Identity): string {
  const trusted = scratch.write("trusted.pem", bundle);
  const leaf = scratch.write("leaf.pem", certificateChain);
  try {
    return openssl(["verify", "-x509_strict", "-CAfile", trusted, leaf]).trim().replace(`${leaf}: `, "");
  } catch (error) {
    return error instanceof Error ? error.message : "";
  }
}

for (const rootType of keyTypes) {
  for (const keyType of keyTypes) {
    test(`an ${rootType} root signs an ${keyType} certificate that stands every check`, async () => {
      const { roots, bundle } = await createAuthority("demo", rootType);
      const identity = await issue(roots[0], ["redis", "backend", "redis", "a:1"], keyType);
      const { certificateChain, privateKey, serial } = identity;
      const certificate = new X509Certificate(certificateChain);
      const issuer = new X509Certificate(bundle);
      assert.is(
        certificate.subjectAltName,
        "URI:spiffe://demo/a:1, URI:spiffe://demo/backend, URI:spiffe://demo/redis",
      );
      assert.is(certificate.issuer, "O=Kuma\nOU=Mesh\nCN=demo");
      assert.ok(certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey) && !certificate.ca);
      assert.is(certificate.serialNumber, serial);
      assert.match(privateKey, /^-----BEGIN PRIVATE KEY-----\n/);
      assert.ok(certificate.checkPrivateKey(createPrivateKey(privateKey)));
      assert.is(certificate.publicKey.asymmetricKeyType, keyType === "rsa-2048" ? "rsa" : "ec");
      const text = describe(certificateChain);
      assert.match(text, /Version: 3 /);
      assert.match(text, /Subject: ?\n/);
      assert.match(text, /Basic Constraints: critical\n +CA:FALSE\n/);
      const usages = keyType === "rsa-2048" ? "Digital Signature, Key Encipherment" : "Digital Signature";
      assert.match(text, new RegExp(`X509v3 Key Usage: critical\\n +${usages}\\n`));
      assert.match(text, /TLS Web Server Authentication, TLS Web Client Authentication\n/);
      assert.match(text, /Subject Alternative Name: critical\n/);
      const keyId = /Subject Key Identifier: ?\n +(\S+)\n/.exec(describe(bundle))?.[1];
      assert.match(text, new RegExp(`Authority Key Identifier: ?\\n +(keyid:)?${keyId}\\n`));
      assert.is(verify(bundle, identity), "OK");
    });
  }
}

test("a root with two same-named ones beside it is found in the bundle, and its absence is noticed", async () => {
  const { roots, bundle } = await createAuthority("demo", "ecdsa-p256", "ecdsa-p256", "rsa-2048");
  for (const root of roots) {
    const identity = await issue(root, ["backend"]);
    assert.is(verify(bundle, identity), "OK");
    assert.is(verify(root.pem, identity), "OK");
    const others = roots.filter((other) => other !== root).map(({ pem }) => pem);
    assert.match(verify(others.join(""), identity), /unable to get local issuer certificate/);
  }
});

test("a service of 255 characters and 200 services fit", async () => {
  const { roots, bundle } = await createAuthority("demo", "ecdsa-p256");
  const long = "s".repeat(255);
  const one = await issue(roots[0], [long]);
  assert.is(new X509Certificate(one.certificateChain).subjectAltName, `URI:spiffe://demo/${long}`);
  assert.is(verify(bundle, one), "OK");
  const services = Array.from({ length: 200 }, (_, index) => `${index}`.padStart(3, "0").padEnd(255, "s"));
  const many = await issue(roots[0], services.toReversed());
  assert.equal(many.services, services);
  const names = services.map((service) => `URI:spiffe://demo/${service}`);
  assert.is(new X509Certificate(many.certificateChain).subjectAltName, names.join(", "));
  assert.is(verify(bundle, many), "OK");
});

test("services that are invalid in a certificate are rejected by name", async () => {
  const { roots } = await createAuthority("demo", "ecdsa-p256");
  for (const service of ["", "*", "\u0141", "a b", "a/b", "..", "s".repeat(256)]) {
    const { id, message } = await refusal(() => issue(roots[0], ["backend", service]));
    assert.is(id, "identity.service");
    assert.match(message, `the service "${service}"`);
  }
  assert.is((await refusal(() => issue(roots[0], []))).message, "a certificate needs at least one service");
});

test("a certificate is valid from a minute ago for as long as asked, in whole seconds", async () => {
  const { roots } = await createAuthority("demo", "ecdsa-p256");
  const request = { mesh: "demo", services: ["backend"], keyType: "ecdsa-p256" } as const;
  const now = new Date(Math.floor(Date.now() / 1000) * 1000 + 900);
  const identity = await issueIdentity(roots[0], { ...request, now, validityMs: 5_000 });
  assert.is(identity.notBefore.getTime(), now.getTime() - 900 - 60_000);
  assert.is(identity.notAfter.getTime(), now.getTime() - 900 + 5_000);
  const certificate = new X509Certificate(identity.certificateChain);
  assert.equal([certificate.validFromDate, certificate.validToDate], [identity.notBefore, identity.notAfter]);
});

test("a certificate never outlives its root, and an expired root issues none", async () => {
  const { roots } = await createAuthority("demo", "ecdsa-p256");
  const [root] = roots;
  const request = { mesh: "demo", services: ["backend"], keyType: "ecdsa-p256", validityMs: 30 * day } as const;
  const late = new Date(root.notAfter.getTime() - day);
  const identity = await issueIdentity(root, { ...request, now: late });
  assert.equal(identity.notAfter, root.notAfter);
  assert.equal(new X509Certificate(identity.certificateChain).validToDate, root.notAfter);
  const { id, message } = await refusal(() => issueIdentity(root, { ...request, now: root.notAfter }));
  assert.is(id, "identity.root");
  assert.is(message, `the root certificate ${root.serial} of mesh "demo" expired at ${root.notAfter.toISOString()}`);
});

test("every certificate has its own key and serial number", async () => {
  const { roots } = await createAuthority("demo", "ecdsa-p256");
  const identities = await Promise.all(Array.from({ length: 50 }, () => issue(roots[0], ["backend"])));
  assert.is(new Set(identities.map(({ serial }) => serial)).size, 50);
  assert.is(new Set(identities.map(({ privateKey }) => privateKey)).size, 50);
});

interface Side {
  readonly identity: Identity;
  readonly authority: Authority;
}

const material = ({ identity, authority }: Side) => ({
  key: identity.privateKey,
  cert: identity.certificateChain,
  ca: authority.bundle,
});

/** What the server reads from the client's certificate and sends back; undefined if either rejects the other. */
async function handshake(server: Side, client: Side, version: tls.SecureVersion): Promise<string | undefined> {
  const listener = tls.createServer(
    { ...material(server), requestCert: true, rejectUnauthorized: true, maxVersion: version },
    (socket) => socket.end(`${socket.getPeerX509Certificate()?.subjectAltName}`),
  );
  listener.on("tlsClientError", () => undefined);
  await once(listener.listen(0, "127.0.0.1"), "listening");
  const { port } = listener.address() as AddressInfo;
  const socket = tls.connect({
    ...material(client),
    host: "127.0.0.1",
    port,
    minVersion: version,
    // Names are URIs here, which Node does not check.
    checkServerIdentity: () => undefined,
  });
  try {
    let said = "";
    for await (const chunk of socket) said += chunk;
    // A server that rejects the client closes the connection, which is not an error by itself.
    return said === "" ? undefined : said;
  } catch {
    return undefined;
  } finally {
    socket.destroy();
    await new Promise((resolve) => listener.close(resolve));
  }
}

test("two proxies speak TLS 1.2 and 1.3 with each other, also with keys of both kinds", async () => {
  const authority = await createAuthority("demo", "ecdsa-p256", "rsa-2048");
  const [ec, rsa] = authority.roots;
  assert.ok(rsa !== undefined);
  const redis = { authority, identity: await issue(ec, ["redis"]) };
  const backend = { authority, identity: await issue(rsa, ["web", "backend"], "rsa-2048") };
  const names = "URI:spiffe://demo/backend, URI:spiffe://demo/web";
  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    assert.is(await handshake(redis, backend, version), names);
    assert.is(await handshake(backend, redis, version), "URI:spiffe://demo/redis");
  }
});

test("a proxy with a certificate of another mesh of the same name is rejected, as server and as client", async () => {
  const [ours, theirs] = [await createAuthority("demo", "ecdsa-p256"), await createAuthority("demo", "ecdsa-p256")];
  const redis = { authority: ours, identity: await issue(ours.roots[0], ["redis"]) };
  const backend = { authority: ours, identity: await issue(ours.roots[0], ["backend"]) };
  // It trusts our mesh, so that only our side can reject it.
  const stranger = { authority: ours, identity: await issue(theirs.roots[0], ["backend"]) };
  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    assert.is(await handshake(redis, backend, version), "URI:spiffe://demo/backend");
    assert.is(await handshake(redis, stranger, version), undefined);
    assert.is(await handshake(stranger, backend, version), undefined);
  }
});

test.run();
