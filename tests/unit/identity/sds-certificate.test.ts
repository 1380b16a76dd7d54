import { createPrivateKey, X509Certificate } from "node:crypto";
import * as assert from "uvu/assert";
import { certificateNames, ensureSdsCertificate } from "../../../src/identity/sds-certificate.js";
import { createServerCertificate } from "../../../src/identity/server-certificate.js";
import { registry } from "../../../src/resources/registry.js";
import { secretType } from "../../../src/resources/secret.js";
import { createMemoryStore } from "../../../src/store/memory.js";
import { type Store, StoreError } from "../../../src/store/store.js";
import { suite } from "../../support/suite.js";
import { refusal } from "./stage.js";

const test = suite("the certificate of the SDS server");

const now = new Date();
const key = { type: "Secret", mesh: "", name: "sds-server-cert" };
const hosts = ["cp.example", "10.0.0.1", "localhost"];

async function withValue(text: string | undefined): Promise<Store> {
  const store = createMemoryStore(registry);
  await store.create({ ...key, spec: text === undefined ? {} : { value: Buffer.from(text).toString("base64") } });
  return store;
}

test("is created once for all instances, for the hosts of the first, and belongs to no mesh", async () => {
  const store = createMemoryStore(registry);
  const pairs = await Promise.all([hosts, ["b"], ["c"]].map((names) => ensureSdsCertificate(store, names, now)));
  pairs.push(await ensureSdsCertificate(store, ["later"], now));
  assert.is(new Set(pairs.map(({ cert }) => cert)).size, 1);
  assert.is(new Set(pairs.map(({ key: pem }) => pem)).size, 1);
  const [pair] = pairs;
  const certificate = new X509Certificate(pair?.cert ?? "");
  assert.ok(certificate.checkPrivateKey(createPrivateKey(pair?.key ?? "")));
  assert.is(certificate.subject, "CN=kuma-sds");
  assert.equal(certificate.publicKey.asymmetricKeyDetails?.modulusLength, 2048);
  assert.ok(certificate.validToDate.getTime() > now.getTime() + 3650 * 24 * 3600 * 1000);
  await store.deleteMesh("default");
  assert.is((await store.list(secretType)).length, 1);
});

test("may be created elsewhere, in either order and with surrounding text", async () => {
  const { cert, key: pkcs1 } = await createServerCertificate({ commonName: "x", hosts, now });
  const pkcs8 = createPrivateKey(pkcs1).export({ type: "pkcs8", format: "pem" }).toString();
  for (const [text, expected] of [
    [pkcs8 + cert, pkcs8],
    [`# ours\n${cert}and\n${pkcs1}`, pkcs1],
  ] as const) {
    assert.equal(await ensureSdsCertificate(await withValue(text), ["y"], now), { cert, key: expected });
  }
});

test("is never replaced if it is unusable: the error has the reason and a remedy, and nothing of the key", async () => {
  const [one, other] = await Promise.all(
    ["one", "other"].map((commonName) => createServerCertificate({ commonName, hosts, now })),
  );
  assert.ok(one !== undefined && other !== undefined);
  const encrypted = createPrivateKey(one.key)
    .export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "x" })
    .toString();
  const cases: readonly (readonly [text: string | undefined, reason: RegExp])[] = [
    [undefined, /there is no certificate in PEM/],
    ["", /there is no certificate in PEM/],
    ["{}", /there is no certificate in PEM/],
    [one.key, /there is no certificate in PEM/],
    [one.cert, /there is no private key in PEM/],
    [one.cert + other.key, /the private key does not belong to the certificate/],
    [one.cert.slice(0, 500) + one.key, /there is no certificate in PEM/],
    [one.cert.replace(/\n.{20}/, "\n") + one.key, /the certificate can't be read/],
    [one.cert + one.key.replace(/\n.{20}/, "\n"), /the private key can't be read/],
    [one.cert + encrypted, /the private key can't be read/],
  ];
  for (const [text, reason] of cases) {
    const store = await withValue(text);
    const { id, message } = await refusal(() => ensureSdsCertificate(store, hosts, now));
    assert.is(id, "sds-certificate.unusable");
    assert.match(message, /^The Secret "sds-server-cert" \(of no mesh\), which the SDS server presents, is unusable: /);
    assert.match(message, reason);
    assert.match(message, /the next start creates a new one, which drains every connection/);
    assert.not.match(message, one.key.slice(60, 90));
    assert.is((await store.get(key))?.version, 1);
  }
});

test("a store that fails is not hidden", async () => {
  const create = () => Promise.reject(new StoreError("unavailable", key));
  const failing = { ...createMemoryStore(registry), create };
  const error = await ensureSdsCertificate(failing, hosts, now).catch((reason: unknown) => reason);
  assert.ok(error instanceof StoreError && error.kind === "unavailable");
});

test("names a host if a client that connects to it would accept it", async () => {
  const names = ["cp.example", "*.mesh.example", "10.0.0.1", "fd00::1"];
  const { cert } = await createServerCertificate({ commonName: "common.example", hosts: names, now });
  const cases: readonly (readonly [host: string, named: boolean])[] = [
    ["cp.example", true],
    ["CP.Example", true],
    ["x.mesh.example", true],
    ["mesh.example", false],
    ["other.example", false],
    ["common.example", false],
    ["10.0.0.1", true],
    ["10.0.0.2", false],
    ["fd00::1", true],
    ["fd00:0:0::1", true],
    ["fd00::2", false],
  ];
  for (const [host, named] of cases) assert.is(certificateNames(cert, host), named, host);
});

test.run();
