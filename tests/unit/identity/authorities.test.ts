import { X509Certificate } from "node:crypto";
import * as assert from "uvu/assert";
import { createAuthorities } from "../../../src/identity/authorities.js";
import { beginRotation, decodeDocument, encodeDocument } from "../../../src/identity/authority-document.js";
import { createRoot } from "../../../src/identity/root.js";
import { createLogger } from "../../../src/lib/logger.js";
import { registry } from "../../../src/resources/registry.js";
import { type Secret, secretType } from "../../../src/resources/secret.js";
import { createMemoryStore } from "../../../src/store/memory.js";
import { type Store, type Stored, StoreError } from "../../../src/store/store.js";
import { versionOf } from "../../../src/store/version.js";
import { suite } from "../../support/suite.js";
import { day, keyTypes, rootEntry } from "./stage.js";

const test = suite("the certificate authorities of meshes");

const key = { type: "Secret", mesh: "demo", name: "builtinca.demo" };

function open(store: Store = createMemoryStore(registry), keyType: (typeof keyTypes)[number] = "ecdsa-p256") {
  const logged: string[] = [];
  const logger = createLogger({ name: "test", level: "info", write: (line) => void logged.push(line) });
  return { store, logged, authorities: createAuthorities(store, { keyType, validityMs: day }, logger) };
}

async function secretOf(store: Store): Promise<Stored<Secret>> {
  const stored = await store.get(key);
  if (stored === undefined) throw new Error("there is no authority");
  return stored as Stored<Secret>;
}

const withValue = (value: unknown): Stored<Secret> => ({
  ...key,
  version: versionOf(1),
  spec: value === undefined ? {} : { value: Buffer.from(JSON.stringify(value)).toString("base64") },
});

test("a mesh gets one authority, however often and by whomever it is requested", async () => {
  const store = createMemoryStore(registry);
  const instances = Array.from({ length: 8 }, () => open(store).authorities);
  const made = await Promise.all(instances.map((authorities) => authorities.ensure("demo")));
  assert.is(made.filter(Boolean).length, 1);
  const before = await secretOf(store);
  assert.is(await open(store).authorities.ensure("demo"), false);
  assert.is(await secretOf(store), before);
  assert.is(decodeDocument(before.spec.value ?? "").roots.length, 1);
  assert.is(decodeDocument(before.spec.value ?? "").longestLifeMs, day);
});

for (const keyType of keyTypes) {
  test(`certificates are signed by the first root and live as long as is set: ${keyType}`, async () => {
    const { store, authorities } = open(undefined, keyType);
    await authorities.ensure("demo");
    const stored = await secretOf(store);
    const second = await createRoot({ mesh: "demo", keyType, now: new Date() });
    const document = beginRotation(decodeDocument(stored.spec.value ?? ""), second, new Date());
    const state = authorities.authority({
      name: "demo",
      authority: { ...stored, spec: { value: encodeDocument(document) } },
    });
    assert.ok(state.kind === "ready");
    const [signing, other] = state.authority.roots;
    assert.is(state.signer, signing.fingerprint);
    assert.is(state.bundle, `${signing.pem}${other?.pem}`);
    assert.is(state.document.rotation?.state, "distributing");
    const { certificateChain, notAfter } = await state.issue(["backend"]);
    const certificate = new X509Certificate(certificateChain);
    assert.ok(certificate.verify(new X509Certificate(signing.pem).publicKey));
    assert.is(certificate.subjectAltName, "URI:spiffe://demo/backend");
    assert.ok(Math.abs(notAfter.getTime() - Date.now() - day) < 60_000);
  });
}

test("the authority is read once until its Secret changes", async () => {
  const { store, authorities } = open();
  await authorities.ensure("demo");
  const stored = await secretOf(store);
  const state = authorities.authority({ name: "demo", authority: stored });
  assert.is(authorities.authority({ name: "demo", authority: stored }), state);
  const again = await store.update({ ...stored }, stored.version);
  assert.is.not(authorities.authority({ name: "demo", authority: again as Stored<Secret> }), state);
});

test("a missing authority and an unusable one have a reason; the latter is logged once", async () => {
  const { authorities, logged } = open();
  assert.equal(authorities.authority({ name: "demo", authority: undefined }), {
    kind: "unusable",
    reason: "the mesh has no certificate authority",
  });
  assert.equal(logged, []);

  const root = rootEntry(await createRoot({ mesh: "demo", keyType: "ecdsa-p256", now: new Date() }));
  const prefix = "the certificate authority is unusable: ";
  const cases: readonly (readonly [value: unknown, reason: string])[] = [
    [undefined, "it is no JSON"],
    [{}, "roots has to be a list"],
    [{ roots: [{ ...root, key: "" }] }, "roots[0].key is missing"],
    [
      { roots: [root], rotation: { state: "retiring", until: "x" } },
      "rotation.until has to be a time, as 2006-01-02T15:04:05Z",
    ],
    [{ roots: [root], longestLifeMs: "x" }, "longestLifeMs has to be a number of milliseconds"],
  ];
  for (const [value, reason] of cases) {
    const authority = withValue(value);
    for (let times = 0; times < 3; times++) {
      assert.equal(authorities.authority({ name: "demo", authority }), { kind: "unusable", reason: prefix + reason });
    }
    assert.is(logged.length, 1);
    assert.match(logged[0] ?? "", "proxies keep their certificates");
    assert.not.match(logged.splice(0).join(), root.key.slice(40, 60));
  }
  assert.is(authorities.authority({ name: "demo", authority: withValue({ roots: [root] }) }).kind, "ready");
});

test("an authority is discarded, and it is no error if it is gone already", async () => {
  const { store, authorities } = open();
  await authorities.ensure("demo");
  await authorities.ensure("other");
  await authorities.discard("demo");
  await authorities.discard("demo");
  assert.equal(
    (await store.list(secretType)).map(({ name }) => name),
    ["builtinca.other"],
  );
});

test("a store that fails is not hidden", async () => {
  const down = () => Promise.reject(new StoreError("unavailable", key));
  const failing: Store = { ...createMemoryStore(registry), create: down, delete: down };
  const { authorities } = open(failing);
  for (const action of [() => authorities.ensure("demo"), () => authorities.discard("demo")]) {
    const error = await action().then(
      () => undefined,
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof StoreError && error.kind === "unavailable");
  }
});

test.run();
