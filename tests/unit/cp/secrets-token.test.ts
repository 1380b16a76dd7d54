import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { secretsToken } from "../../../src/cp/tokens/secrets-token.js";
import { UserError } from "../../../src/lib/errors.js";
import { suite } from "../../support/suite.js";

const test = suite("the file with the token for secrets");
const asRoot = suite("the file with the token for secrets, of root's control plane", { needs: "root" });

let scratch = "";
for (const { before, after } of [test, asRoot]) {
  before.each(() => {
    scratch = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-secrets-token-"));
  });
  after.each(() => fs.rmSync(scratch, { recursive: true, force: true }));
}

const nobody = 65_534;
const token = "a-token-that-is-long-enough-to-be-one";

async function refusal(file: string): Promise<string> {
  const error = await secretsToken(file, "THE_FILE").catch((thrown: unknown) => thrown);
  assert.instance(error, UserError);
  return (error as UserError).message;
}

test("is created once, readable by its owner only, and then read", async () => {
  const file = path.join(scratch, "token");
  const made = await secretsToken(file, "THE_FILE");
  assert.ok(made.length >= 32);
  assert.is(fs.statSync(file).mode & 0o777, 0o600);
  assert.is(await secretsToken(file, "THE_FILE"), made);
});

test("is read through links, as Kubernetes mounts it", async () => {
  fs.mkdirSync(path.join(scratch, "..data"));
  fs.writeFileSync(path.join(scratch, "..data", "token"), token, { mode: 0o400 });
  fs.symlinkSync("..data/token", path.join(scratch, "token"));
  assert.is(await secretsToken(path.join(scratch, "token"), "THE_FILE"), token);
});

test("is created neither through a link nor where others could replace it", async () => {
  const file = path.join(scratch, "token");
  fs.symlinkSync(path.join(scratch, "elsewhere"), file);
  assert.match(await refusal(file), "EEXIST");
  assert.not(fs.existsSync(path.join(scratch, "elsewhere")));
  fs.rmSync(file);
  fs.chmodSync(scratch, 0o777);
  assert.is(
    await refusal(file),
    `THE_FILE names "${file}", which can't be created safely: "${scratch}" is a directory that others may write to ` +
      "(its mode is 0777; chmod go-w fixes that)",
  );
  fs.chmodSync(scratch, 0o1777);
  assert.ok(await secretsToken(file, "THE_FILE"));
});

test("is rejected if others can read it, and if it is not a file", async () => {
  const file = path.join(scratch, "token");
  fs.writeFileSync(file, token, { mode: 0o640 });
  assert.match(await refusal(file), /which other users than its owner can access: .* chmod it to 0600/);
  assert.match(await refusal(scratch), "which is not a file");
  const fifo = path.join(scratch, "fifo");
  execFileSync("mkfifo", ["-m", "600", fifo]);
  assert.match(await refusal(fifo), "which is not a file");
  fs.writeFileSync(file, "short");
  fs.chmodSync(file, 0o600);
  assert.match(await refusal(file), "which contains no token of at least 32 visible characters");
});

asRoot("is refused when another user owns it or the directory that it would be made in", async () => {
  const file = path.join(scratch, "token");
  fs.writeFileSync(file, token, { mode: 0o600 });
  fs.chownSync(file, nobody, nobody);
  assert.is(
    await refusal(file),
    `THE_FILE names "${file}", which belongs to user ${nobody}, not to user 0 or root: whoever owns it can read all secrets`,
  );
  fs.rmSync(file);
  fs.chownSync(scratch, nobody, nobody);
  assert.match(
    await refusal(file),
    `"${scratch}" is a directory that belongs to user ${nobody}, not to user 0 or root`,
  );
  assert.not(fs.existsSync(file));
});

test.run();
asRoot.run();
