import { mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { createTemporary } from "../../../src/dp/config-dir.js";
import { followToken } from "../../../src/dp/token.js";
import { readToken } from "../../../src/identity/token-file.js";
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
    assert.throws(() => readToken(file), `file ${file} is no token: it is longer than 8192 characters`);
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

test("the copy follows a source that is swapped, and outlives one that breaks", () =>
  inDirectory(async (directory) => {
    const source = path.join(directory, "source");
    writeFileSync(source, "one\n");
    const written: string[] = [];
    const stop = new AbortController();
    const swapped = Promise.withResolvers<void>();
    const broken = Promise.withResolvers<unknown>();
    const copy = {
      source,
      initial: readToken(source),
      write: (token: string) => void written.push(token),
      failed: (error: unknown) => broken.resolve(error),
      replaced: () => swapped.resolve(),
    };
    followToken(copy, stop.signal);
    try {
      writeFileSync(path.join(directory, "next"), "two\n");
      renameSync(path.join(directory, "next"), source);
      await swapped.promise;
      rmSync(source);
      assert.match(String(await broken.promise), "could not read file");
      assert.equal(written, ["one", "two"]);
    } finally {
      stop.abort();
    }
  }));

test.run();
