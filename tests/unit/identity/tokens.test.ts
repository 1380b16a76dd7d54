import { createHmac, createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import * as assert from "uvu/assert";
import { ensureSigningKey, type SigningKey } from "../../../src/identity/signing-key.js";
import { longestToken } from "../../../src/identity/token-limit.js";
import { issueToken, verifyToken } from "../../../src/identity/tokens.js";
import { UserError } from "../../../src/lib/errors.js";
import { registry } from "../../../src/resources/registry.js";
import { type Secret, secretType } from "../../../src/resources/secret.js";
import { createMemoryStore } from "../../../src/store/memory.js";
import { suite } from "../../support/suite.js";

const test = suite("dataplane tokens");

const now = new Date("2026-03-01T12:00:00.400Z");
const dataplane = { name: "dp-echo-1", mesh: "default" };
const claims = { Name: "dp-echo-1", Mesh: "default" };

let key: SigningKey;
let other: SigningKey;
test.before(async () => {
  key = await ensureSigningKey(createMemoryStore(registry));
  other = await ensureSigningKey(createMemoryStore(registry));
});

const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A token as an attacker, or a holder of the key, could forge it: any header, any claims, any signature. */
function made(header: unknown, payload: unknown, signature: (text: string) => Buffer | string): string {
  const text = `${encoded(header)}.${encoded(payload)}`;
  const signed = signature(text);
  return `${text}.${typeof signed === "string" ? signed : signed.toString("base64url")}`;
}

const by =
  (privateKey: KeyObject, digest = "sha256") =>
  (text: string) =>
    sign(digest, Buffer.from(text), privateKey);
const header = (extra: object = {}) => ({ alg: "RS256", typ: "JWT", kid: key.kid, ...extra });

function reason(token: string, at = now): string {
  const result = verifyToken([key], token, at);
  return result.kind === "refused" ? result.reason : "accepted";
}

const partsOf = (token: string) =>
  token
    .split(".")
    .slice(0, 2)
    .map((part) => JSON.parse(atob(part)) as object);

test("are RS256 JWTs with the name, the mesh and the key's thumbprint, and nothing else", () => {
  const token = issueToken(key, dataplane, now);
  assert.equal(partsOf(token), [{ alg: "RS256", typ: "JWT", kid: key.kid }, claims]);
  assert.equal(verifyToken([key], token, now), { kind: "valid", ...dataplane });
  assert.equal(verifyToken([other, key], token, new Date("2126-01-01")), { kind: "valid", ...dataplane });
});

test("expire when requested, not a moment earlier", () => {
  const token = issueToken(key, { ...dataplane, validFor: 3_600_000 }, now);
  const expires = new Date("2026-03-01T13:00:01Z");
  assert.equal(partsOf(token)[1], { ...claims, exp: expires.getTime() / 1000 });
  assert.equal(verifyToken([key], token, now), { kind: "valid", ...dataplane, expires });
  assert.is(reason(token, new Date(expires.getTime() - 1)), "accepted");
  assert.is(reason(token, expires), 'it expired at "2026-03-01T13:00:01.000Z"');
});

test("that are not tokens are rejected", () => {
  assert.is(reason(""), "there is no token");
  const garbage = ["a", "a.b", "a.b.c", "..", "....", "a.b.c.d", "Bearer a.b.c", "\0\0\0", "{}", "null.null.null"];
  const odd = [encoded(null), encoded([]), encoded("RS256"), encoded(7), Buffer.from("{").toString("base64url")];
  for (const text of [...garbage, ...odd.map((part) => `${part}.${encoded(claims)}.AAAA`)]) {
    assert.match(reason(text), /^it is not a JWT$|^its algorithm is/, text);
  }
  assert.is(reason(` ${issueToken(key, dataplane, now)}`), "it is not a JWT");
});

test("that are too long are rejected before anything is read", () => {
  const long = made(header({ filler: "x".repeat(longestToken) }), claims, by(key.privateKey));
  for (const token of [long, "x".repeat(2 ** 20), ".".repeat(2 ** 20)]) {
    assert.is(reason(token), "it is longer than 8192 characters");
  }
});

test("can't choose how they are verified", () => {
  const { publicKey } = key;
  const pem = publicKey.export({ type: "spki", format: "pem" });
  const secrets = [pem, pem.toString().trim(), publicKey.export({ type: "pkcs1", format: "der" }), ""];
  for (const secret of secrets) {
    const token = made(header({ alg: "HS256" }), claims, (text) => createHmac("sha256", secret).update(text).digest());
    assert.is(reason(token), 'its algorithm is "HS256" instead of RS256');
  }
  for (const alg of ["none", "None", "NONE", "", undefined, null, ["RS256"], "RS512", "PS256", "rs256"]) {
    for (const signature of [() => "", by(key.privateKey), by(key.privateKey, "sha512")]) {
      assert.match(
        reason(made(header({ alg }), claims, signature)),
        /^its algorithm is .* instead of RS256$|not a JWT/,
      );
    }
  }
});

test("signed with another key are rejected, whatever their header says", () => {
  const theirs = by(other.privateKey);
  const jwk = other.publicKey.export({ format: "jwk" });
  assert.match(reason(issueToken(other, dataplane, now)), /^it was signed with another key, "[\w-]+"/);
  for (const kid of [null, 7, {}, "", "../../etc/passwd", "x".repeat(5000)]) {
    assert.match(reason(made(header({ kid }), claims, by(key.privateKey))), /^it was signed with another key/);
  }
  for (const extra of [{}, { kid: undefined }, { jwk }, { jku: "http://127.0.0.1:1" }, { x5c: ["AAAA"] }]) {
    assert.is(reason(made(header(extra), claims, theirs)), "its signature is wrong");
  }
  assert.is(verifyToken([], issueToken(key, dataplane, now), now).kind, "refused");
});

test("signed with our key are valid also without a key id", () => {
  const token = made({ alg: "RS256" }, claims, by(key.privateKey));
  assert.equal(verifyToken([other, key], token, now), { kind: "valid", ...dataplane });
});

test("are rejected if any single character is changed", () => {
  const token = issueToken(key, dataplane, now);
  for (let at = 0; at < token.length; at++) {
    for (const letter of ["A", "B", ".", "="]) {
      const tampered = token.slice(0, at) + letter + token.slice(at + 1);
      if (tampered !== token) assert.not.equal(reason(tampered), "accepted", `${at} ${letter}`);
    }
  }
  const [head, , signature] = token.split(".");
  assert.is(reason(`${head}.${encoded({ ...claims, Name: "admin" })}.${signature}`), "its signature is wrong");
  assert.is(reason(`${head}.${encoded(claims)}.`), "jwt signature is required");
  assert.is(reason(`${token}=`), "it is not a JWT");
});

test("signed with our key and without a name or a mesh prove nothing", () => {
  const token = (payload: unknown) => made(header(), payload, by(key.privateKey));
  for (const Name of [undefined, "", 7, ["dp-echo-1"]]) {
    assert.is(reason(token({ ...claims, Name })), "it has no claim Name");
  }
  assert.is(reason(token({ Name: "a" })), "it has no claim Mesh");
  assert.is(reason(token({ name: "a", mesh: "default" })), "it has no claim Name");
  for (const payload of ["text", null, [], 7]) assert.not.equal(reason(token(payload)), "accepted");
  for (const exp of ["soon", null, {}, -1e300]) assert.not.equal(reason(token({ ...claims, exp })), "accepted");
});

test("are rejected with a short reason that doesn't repeat them", () => {
  const secret = "s3cr3t".repeat(500);
  const tokens = [made(header({ alg: secret }), claims, () => ""), made(header({ kid: secret }), claims, () => "")];
  for (const token of tokens) assert.ok(reason(token).length < 200);
});

test("are signed with a key that is stored and belongs to no mesh", async () => {
  const store = createMemoryStore(registry);
  const first = await ensureSigningKey(store);
  assert.is((await ensureSigningKey(store)).kid, first.kid);
  const [secret, ...others] = await store.list(secretType);
  assert.equal([secret?.mesh, secret?.name, others], ["", "dataplane-token-signing-key", []]);
  const { value } = (secret as { spec: Secret }).spec;
  const publicKey = createPublicKey({ key: Buffer.from(value ?? "", "base64"), format: "der", type: "pkcs1" });
  assert.is(publicKey.asymmetricKeyDetails?.modulusLength, 2048);
  await store.deleteMesh("default");
  assert.equal(verifyToken([await ensureSigningKey(store)], issueToken(first, dataplane, now), now).kind, "valid");
});

test("are signed with one key when several instances start at once", async () => {
  const store = createMemoryStore(registry);
  const keys = await Promise.all([1, 2, 3].map(() => ensureSigningKey(store)));
  assert.is(new Set(keys.map(({ kid }) => kid)).size, 1);
});

test("have no key if the stored value is invalid: the error names it without exposing it", async () => {
  const small = generateKeyPairSync("rsa", {
    modulusLength: 1024,
    publicKeyEncoding: { type: "spki", format: "der" },
    privateKeyEncoding: { type: "pkcs1", format: "der" },
  }).privateKey;
  for (const bytes of [Buffer.from("s3cr3t"), Buffer.alloc(0), small]) {
    const store = createMemoryStore(registry);
    const id = { type: "Secret", mesh: "", name: "dataplane-token-signing-key" };
    await store.create({ ...id, spec: { value: bytes.toString("base64") } });
    const error = await ensureSigningKey(store).catch((thrown: unknown) => thrown);
    assert.instance(error, UserError);
    const { message } = error as UserError;
    assert.match(message, /"dataplane-token-signing-key".*PKCS#1 DER.*backup.*delete/);
    assert.not.match(message, /s3cr3t|czNjcjN0/);
  }
});

test.run();
