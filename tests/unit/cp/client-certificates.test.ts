import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { readKeyPair } from "../../../src/cp/key-pair-files.js";
import { readClientCertificates } from "../../../src/cp/tokens/client-certificates.js";
import { createCertificate } from "../../../src/ctl/certificate.js";
import { UserError } from "../../../src/lib/errors.js";
import { suite } from "../../support/suite.js";

const test = suite("files with certificates and keys");

type KeyPair = Awaited<ReturnType<typeof createCertificate>>;
const pairs: KeyPair[] = [];
let directory: string;

test.before(async () => {
  for (let count = 0; count < 2; count++) {
    pairs.push(await createCertificate({ usage: "client", hosts: [], now: new Date() }));
  }
});
test.before.each(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-certificates-"));
});
test.after.each(() => fs.rmSync(directory, { recursive: true }));

const pair = (index: number) => pairs[index] as KeyPair;

function write(name: string, content: string): string {
  const file = path.join(directory, name);
  fs.writeFileSync(file, content);
  return file;
}

const read = (at = directory) => readClientCertificates(at, "THE_DIR");

async function refusal(promise: Promise<unknown>): Promise<string> {
  const error = await promise.catch((thrown: unknown) => thrown);
  assert.instance(error, UserError);
  return (error as UserError).message;
}

test("of clients are all *.pem of the directory, several certificates in one and links included", async () => {
  write("a.pem", pair(0).cert);
  write("bundle.pem", `a comment\n${pair(0).cert}\r\n${pair(1).cert.replaceAll("\n", "\r\n")}`);
  fs.symlinkSync("a.pem", path.join(directory, "link.pem"));
  fs.mkdirSync(path.join(directory, "directory.pem"));
  fs.mkdirSync(path.join(directory, "below"));
  write("below/c.pem", "junk");
  write("notes.txt", "junk");
  write("key.pem.bak", pair(0).key);
  const { certificates, ignored } = await read();
  assert.is(certificates.length, 4);
  assert.equal(ignored, ["below", "key.pem.bak", "notes.txt"]);
});

test("of clients are required", async () => {
  const missing = path.join(directory, "missing");
  assert.match(await refusal(read(missing)), `THE_DIR names "${missing}", which can't be read as a directory: ENOENT`);
  assert.match(await refusal(read(write("file", ""))), /THE_DIR names ".*file", which can't be read as a directory/);
  fs.rmSync(path.join(directory, "file"));
  assert.match(
    await refusal(read()),
    /THE_DIR names .* no file that ends in \.pem: put .*kumactl generate certificate/,
  );
  write("client.crt", pair(0).cert);
  assert.match(await refusal(read()), /no file that ends in \.pem \(it holds client\.crt\)/);
});

test("of clients that are invalid are named", async () => {
  write("a.pem", pair(0).cert);
  const broken = pair(1).cert.replace(/\n.{20}/, "\n####################");
  const cases: [string, RegExp][] = [
    ["", /contains no certificate in PEM: remove it/],
    ["junk", /contains no certificate in PEM: remove it/],
    [pair(1).key, /contains no certificate in PEM, but a private key, which belongs to the client alone: remove it/],
    [broken, /contains a certificate that can't be parsed/],
    ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", /contains a certificate that can't be parsed/],
  ];
  for (const [content, expected] of cases) {
    const file = write("b.pem", content);
    const message = await refusal(read());
    assert.ok(message.startsWith(`"${file}", in the directory that THE_DIR names, `), message);
    assert.match(message, expected);
  }
  fs.rmSync(path.join(directory, "b.pem"));
  fs.symlinkSync("nowhere", path.join(directory, "dangling.pem"));
  assert.match(await refusal(read()), /dangling\.pem", .* can't be read: ENOENT/);
});

test("of a server are a certificate and its key", async () => {
  const cert = { path: write("cert", pair(0).cert), setting: "THE_CERT" };
  const key = { path: write("key", pair(0).key), setting: "THE_KEY" };
  assert.equal(await readKeyPair(cert, key), pair(0));
  const other = { path: write("other", pair(1).key), setting: "THE_KEY" };
  assert.match(await refusal(readKeyPair(cert, other)), /^THE_KEY names ".*other", which is not the key of .*THE_CERT/);
  assert.match(await refusal(readKeyPair(key, key)), /^THE_KEY names ".*key", which contains no certificate in PEM$/);
  const swapped = { ...cert, setting: "THE_KEY" };
  assert.match(
    await refusal(readKeyPair(cert, swapped)),
    /^THE_KEY names ".*cert", which contains no private key without/,
  );
  const missing = { path: "/missing/cert", setting: "THE_CERT" };
  assert.match(
    await refusal(readKeyPair(missing, key)),
    /^THE_CERT names "\/missing\/cert", which can't be read: ENOENT/,
  );
});

test.run();
