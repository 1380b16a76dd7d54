import { execFile } from "node:child_process";
import { mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import * as assert from "uvu/assert";
import { createTemporary } from "../../../src/dp/config-dir.js";
import { followToken, usableToken } from "../../../src/dp/token.js";
import { readToken, rereadToken } from "../../../src/identity/token-file.js";
import { UserError } from "../../../src/lib/errors.js";
import { eventually } from "../../support/eventually.js";
import { suite } from "../../support/suite.js";

const test = suite("kuma-dp keeps a clean copy of the dataplane token");

async function inDirectory(run: (directory: string) => Promise<void> | void): Promise<void> {
  const directory = mkdtempSync(path.join(tmpdir(), "token-"));
  try {
    await run(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test("white space around it is dropped", () =>
  inDirectory((directory) => {
    const file = path.join(directory, "source");
    writeFileSync(file, " abc.def.ghi \r\n\n");
    assert.is(readToken(file), "abc.def.ghi");
  }));

test("a missing, an empty and a far too long file are named", () =>
  inDirectory((directory) => {
    const file = path.join(directory, "source");
    assert.throws(() => readToken(file), new RegExp(`could not read file ${file}`));
    writeFileSync(file, " \n");
    assert.throws(() => readToken(file), `token under file ${file} is empty`);
    writeFileSync(file, "x".repeat(2 ** 20));
    assert.throws(() => readToken(file), `file ${file} is not a token: it is longer than 8192 characters`);
  }));

test("only we may read the copy", () =>
  inDirectory((directory) => {
    const configDir = createTemporary(directory, "default", "a");
    configDir.write("token", "first");
    configDir.write("token", "second");
    assert.is(readToken(path.join(configDir.path, "token")), "second");
    assert.is(statSync(path.join(configDir.path, "token")).mode & 0o777, 0o600);
    assert.is(statSync(configDir.path).mode & 0o777, 0o700);
  }));

const owner = { name: "a", mesh: "default" };
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
const jwt = (claims: object, mark = "") =>
  `${encode({ alg: "RS256", kid: mark })}.${encode({ Name: "a", Mesh: "default", ...claims })}.c2lnbmF0dXJl`;
const now = new Date("2026-01-01T12:00:00Z");
const seconds = (date: string) => new Date(date).getTime() / 1000;

test("only a token for this dataplane is accepted; any other content is reported with the fix", () =>
  inDirectory((directory) => {
    const file = path.join(directory, "source");
    const refusal = (content: string) => {
      writeFileSync(file, content);
      try {
        usableToken(file, owner, now);
      } catch (error) {
        return error instanceof UserError ? error.message : `not for the user: ${error}`;
      }
      return "none";
    };
    assert.is(refusal(`${jwt({})}\n`), "none");
    assert.is(refusal(jwt({ exp: seconds("2026-01-01T12:00:01Z") })), "none");
    for (const [content, reason] of [
      ["", `token under file ${file} is empty`],
      ["let me in", "the file holds no dataplane token: it is no JWT"],
      [Buffer.alloc(3000, 0x81).toString("latin1"), "it is no JWT"],
      ["-----BEGIN CERTIFICATE-----", "it is no JWT"],
      [jwt({}).replace(/^[^.]+/, encode({ alg: "none" })), "it is not signed with RS256"],
      [jwt({ Name: 5 }), "it has no claim Name"],
      [jwt({ Name: "b" }), 'the token is for dataplane "b" in mesh "default", and not for "a" in mesh "default"'],
      [jwt({ Mesh: "m" }), 'the token is for dataplane "a" in mesh "m"'],
      [
        jwt({ exp: seconds("2026-01-01T11:00:00Z") }),
        "the token expired at 2026-01-01T11:00:00.000Z (the clock of this machine says 2026-01-01T12:00:00.000Z)",
      ],
      [jwt({ exp: 1e300 }), "its claim exp is no number of seconds"],
    ] as const) {
      const told = refusal(content);
      assert.ok(told.includes(reason), `${told} does not say ${reason}`);
      assert.match(told, "kumactl generate dataplane-token --name=a --mesh=default");
    }
  }));

test("a directory and an endless device are not token files", () =>
  inDirectory((directory) => {
    assert.throws(() => readToken(directory), `could not read file ${directory}: it is a directory`);
    assert.throws(() => readToken("/dev/zero"), "file /dev/zero is not a token: it is longer than 8192 characters");
  }));

test("a FIFO is read once, and never waited for later", () =>
  inDirectory(async (directory) => {
    const fifo = path.join(directory, "fifo");
    await promisify(execFile)("mkfifo", [fifo]);
    assert.throws(() => rereadToken(fifo), `file ${fifo} is a FIFO, which can be read only once`);
  }));

test("the copy follows a replaced source and survives an invalid one, which is reported once per reason", () =>
  inDirectory(async (directory) => {
    const source = path.join(directory, "source");
    const [one, two, three] = [jwt({}, "1"), jwt({}, "2"), jwt({}, "3")];
    const put = (content: string) => {
      writeFileSync(path.join(directory, "next"), content);
      renameSync(path.join(directory, "next"), source);
    };
    put(`${one}\n`);
    const written: string[] = [];
    const troubles: string[] = [];
    let replaced = 0;
    const stop = new AbortController();
    const copy = {
      source,
      owner,
      initial: usableToken(source, owner, now),
      write: (token: string) => void written.push(token),
      onProblem: (reason: string) => void troubles.push(reason),
      replaced: () => {
        replaced += 1;
      },
      watchFailed: (error: unknown) => void troubles.push(`watchFailed: ${error}`),
      now: () => now,
    };
    followToken(copy, stop.signal);
    try {
      put(two);
      await eventually("the copy to follow", () => replaced === 1);
      for (const [break_, reason] of [
        [() => put("garbage"), "it is no JWT"],
        [() => put("garbage again"), undefined],
        [() => put(jwt({ Name: "b" })), 'for dataplane "b"'],
        [() => rmSync(source), "could not read file"],
      ] as const) {
        const before = troubles.length;
        break_();
        if (reason === undefined) continue;
        await eventually(reason, () => troubles.length === before + 1 && troubles.at(-1)?.includes(reason) === true);
      }
      assert.equal(written, [one, two]);
      // The same token again: nothing is written, but all is well.
      put(two);
      await eventually("the source to be well again", () => replaced === 2);
      put(three);
      await eventually("the copy to follow again", () => replaced === 3);
      assert.equal(written, [one, two, three]);
      assert.is(troubles.length, 3);
    } finally {
      stop.abort();
    }
  }));

test.run();
