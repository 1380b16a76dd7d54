import { createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from "node:crypto";
import * as assert from "uvu/assert";
import { readAuthority } from "../../../src/identity/authority.js";
import { distinguishedName, pem, randomSerial, signCertificate, tenYears } from "../../../src/identity/certificate.js";
import type { Element } from "../../../src/identity/der.js";
import { basicConstraints, keyUsage } from "../../../src/identity/extensions.js";
import { createRoot, type Root } from "../../../src/identity/root.js";
import { issueIdentity } from "../../../src/identity/workload.js";
import { suite } from "../../support/suite.js";
import { createScratch, day, describe, keyTypes, openssl, refusal, rootEntry, secretOf } from "./stage.js";

const test = suite("the certificate authority of a mesh");

const scratch = createScratch();
test.after(() => scratch.remove());

const now = new Date();
const base64 = (text: string) => Buffer.from(text).toString("base64");
const newRoot = (keyType: (typeof keyTypes)[number] = "ecdsa-p256") => createRoot({ mesh: "demo", keyType, now });

test("roots are read with all their properties, in order", async () => {
  const made = await Promise.all(keyTypes.map(newRoot));
  const value = JSON.stringify({ roots: made.map(rootEntry), rotation: { state: "any" } });
  for (const input of [value, Buffer.from(value)]) {
    const { roots, bundle } = readAuthority(input);
    assert.is(bundle, made.map(({ cert }) => cert).join(""));
    roots.forEach((root, index) => {
      const certificate = new X509Certificate(made[index]?.cert ?? "");
      assert.is(root.pem, made[index]?.cert);
      assert.is(root.serial, certificate.serialNumber);
      assert.is(root.fingerprint, certificate.fingerprint256);
      assert.equal([root.notBefore, root.notAfter], [certificate.validFromDate, certificate.validToDate]);
      assert.ok(certificate.checkPrivateKey(root.key));
      const keyId = /Subject Key Identifier: ?\n +(\S+)\n/.exec(describe(root.pem))?.[1];
      assert.is(root.keyId.toString("hex").toUpperCase(), keyId?.replaceAll(":", ""));
    });
  }
});

test("keys may be PKCS#8, PKCS#1 or SEC1, the last preceded by its parameters", async () => {
  const [ec, rsa] = await Promise.all(keyTypes.map(newRoot));
  assert.ok(ec !== undefined && rsa !== undefined);
  const sec1 = createPrivateKey(ec.key).export({ type: "sec1", format: "pem" }).toString();
  const pkcs1 = createPrivateKey(rsa.key).export({ type: "pkcs1", format: "pem" }).toString();
  const parameters = openssl(["ecparam", "-name", "prime256v1"]);
  const variants = [
    { cert: ec.cert, key: sec1 },
    { cert: ec.cert, key: parameters + sec1 },
    { cert: rsa.cert, key: pkcs1 },
    { cert: `\n${ec.cert.replaceAll("\n", "\r\n")}`, key: ec.key.replaceAll("\n", "\r\n") },
  ];
  const { roots, bundle } = readAuthority(secretOf(...variants));
  assert.is(roots.length, variants.length);
  assert.is(bundle, [ec.cert, ec.cert, rsa.cert, ec.cert].join(""));
  for (const root of roots) {
    const request = { mesh: "demo", services: ["backend"], keyType: "ecdsa-p256", now, validityMs: day } as const;
    const { certificateChain } = await issueIdentity(root, request);
    assert.ok(new X509Certificate(certificateChain).verify(new X509Certificate(root.pem).publicKey));
  }
});

test("a root made elsewhere, with other kinds of text in its name and no key identifier, signs too", async () => {
  const key = openssl(["ecparam", "-name", "prime256v1", "-genkey", "-noout"]);
  const config = scratch.write(
    "openssl.cnf",
    [
      "[req]\nprompt = no\nutf8 = yes\nstring_mask = pkix\ndistinguished_name = name\nx509_extensions = extensions",
      "[name]\nC = DE\nO = Müller & Söhne €\nemailAddress = ca@example.com\nCN = demo",
      "[extensions]\nbasicConstraints = critical, CA:TRUE\nkeyUsage = keyCertSign\nsubjectKeyIdentifier = none",
    ].join("\n"),
  );
  const keyFile = scratch.write("elsewhere.key", key);
  const cert = openssl(["req", "-x509", "-new", "-days", "30", "-config", config, "-key", keyFile]);
  const [root] = readAuthority(secretOf({ cert, key })).roots;
  const request = { mesh: "demo", services: ["backend"], keyType: "ecdsa-p256", now, validityMs: day } as const;
  const { certificateChain } = await issueIdentity(root, request);
  const [trusted, leaf] = [scratch.write("trusted.pem", cert), scratch.write("leaf.pem", certificateChain)];
  assert.is(openssl(["verify", "-CAfile", trusted, leaf]), `${leaf}: OK\n`);
});

interface Change {
  readonly extensions?: readonly Element[];
  readonly issuer?: string;
}

/** A root whose certificate is unusual in one way. */
function unusual({ extensions = [basicConstraints({ authority: true })], issuer = "demo" }: Change): Root {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const name = (text: string) => distinguishedName([["commonName", text]]);
  const spki = publicKey.export({ type: "spki", format: "der" });
  const names = { issuer: name(issuer), subject: name("demo") };
  const fields = { serial: randomSerial(), ...names, ...tenYears(now), publicKey: spki, extensions };
  return {
    cert: signCertificate(fields, privateKey),
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

const keyPem = (key: KeyObject) => key.export({ type: "pkcs8", format: "pem" }).toString();

test("every invalid value is rejected with the field and the reason, and never with a key", async () => {
  const [good, other] = [await newRoot(), await newRoot()];
  const authority = basicConstraints({ authority: true });
  const encrypted = createPrivateKey(good.key).export({
    type: "pkcs8",
    format: "pem",
    cipher: "aes-256-cbc",
    passphrase: "secret",
  });
  const second = (change: object) => JSON.stringify({ roots: [rootEntry(good), { ...rootEntry(other), ...change }] });
  const key = (text: string) => second({ key: base64(text) });
  const cert = (text: string) => second({ cert: base64(text) });
  const notPem = "has to be PEM in base64";
  const noKey = "is no private key without a passphrase, in PEM (PKCS#8, PKCS#1 or SEC1)";
  const noAuthority = "is no certificate of an authority: that has CA:TRUE, and certSign where it has a keyUsage";
  const kind = "has to be an ECDSA P-256 or an RSA key";
  const cases: readonly (readonly [value: string, field: string, problem: string])[] = [
    ["", "", "is no JSON"],
    [good.key, "", "is no JSON"],
    [secretOf(good).slice(0, -1), "", "is no JSON"],
    ["null", "roots", "has to be a list"],
    ['"roots"', "roots", "has to be a list"],
    ["{}", "roots", "has to be a list"],
    ['{"roots":{}}', "roots", "has to be a list"],
    ['{"roots":[]}', "roots", "has to hold at least one root"],
    ['{"roots":[null]}', "roots[0]", 'has to be {"cert": …, "key": …}'],
    ['{"roots":["x"]}', "roots[0]", 'has to be {"cert": …, "key": …}'],
    ['{"roots":[{}]}', "roots[0].cert", "is missing"],
    [second({ cert: "" }), "roots[1].cert", "is missing"],
    [second({ key: undefined }), "roots[1].key", "is missing"],
    [second({ cert: 7 }), "roots[1].cert", notPem],
    [second({ cert: other.cert }), "roots[1].cert", notPem],
    [second({ key: "%%%" }), "roots[1].key", notPem],
    [second({ key: other.key }), "roots[1].key", notPem],
    [cert(other.cert + good.cert), "roots[1].cert", "has to be one certificate, not 2 PEM objects"],
    [cert(other.key), "roots[1].cert", "is no X.509 certificate"],
    [cert(pem("CERTIFICATE", Buffer.from("3000", "hex"))), "roots[1].cert", "is no X.509 certificate"],
    [key(other.cert), "roots[1].key", noKey],
    [key(pem("PRIVATE KEY", Buffer.from("3000", "hex"))), "roots[1].key", noKey],
    [key(encrypted.toString()), "roots[1].key", noKey],
    [key(keyPem(generateKeyPairSync("ed25519").privateKey)), "roots[1].key", kind],
    [key(keyPem(generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey)), "roots[1].key", kind],
    [
      key(keyPem(generateKeyPairSync("rsa", { modulusLength: 1024 }).privateKey)),
      "roots[1].key",
      "is an RSA key of 1024 bits; it needs 2048 or more",
    ],
    [key(good.key), "roots[1].key", "does not belong to the certificate beside it"],
    [secretOf(unusual({ extensions: [basicConstraints({ authority: false })] })), "roots[0].cert", noAuthority],
    [
      secretOf(unusual({ extensions: [authority, keyUsage("digitalSignature", "crlSign")] })),
      "roots[0].cert",
      noAuthority,
    ],
    [
      secretOf(unusual({ issuer: "another" })),
      "roots[0].cert",
      "is not self-signed, so that no peer could trust it by itself",
    ],
  ];
  const keys = [good.key, other.key].flatMap((text) => [text, base64(text)]).map((text) => text.slice(40, 60));
  for (const [value, field, problem] of cases) {
    const { id, message, causes } = await refusal(() => readAuthority(value));
    assert.is(id, "authority.unusable");
    assert.is(message, `the certificate authority is unusable: ${field === "" ? "it" : field} ${problem}`);
    assert.equal(causes, [{ field, message: problem }]);
    for (const secret of keys) assert.not.match(message, secret);
  }
  assert.is(readAuthority(secretOf(unusual({ extensions: [authority] }))).roots.length, 1);
});

test("an error has no underlying error, whose text could contain a key", async () => {
  const { cause } = await refusal(() => readAuthority("MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg"));
  assert.is(cause, undefined);
});

test.run();
