import * as assert from "uvu/assert";
import { hasNativeSidecars, readServerVersion, type ServerVersion } from "../../../src/injector/server-version.js";
import { chooseSidecarForm } from "../../../src/injector/sidecar-form.js";
import { createLogger } from "../../../src/lib/logger.js";
import { eventually } from "../../support/eventually.js";
import { suite } from "../../support/suite.js";

const test = suite("the form of sidecars");

const version = (minor: string, major = "1"): ServerVersion => {
  const read = readServerVersion({ major, minor, gitVersion: `v${major}.${minor}.0` });
  if (read === undefined) throw new Error(`${major}.${minor} was not read`);
  return read;
};

const pauses = { first: 1, later: 1 };

/** Chooses with an API server that gives these answers, the last one for ever. */
async function choose(wanted: "auto" | boolean, answers: readonly (ServerVersion | string)[]) {
  const lines: string[] = [];
  const logger = createLogger({ name: "test", level: "info", write: (line) => lines.push(line) });
  const stop = new AbortController();
  let asked = 0;
  const ask = async () => {
    const answer = answers[Math.min(asked, answers.length - 1)] ?? "no answer";
    asked += 1;
    if (typeof answer === "string") throw new Error(answer);
    return answer;
  };
  const form = await chooseSidecarForm({ wanted, ask, logger, signal: stop.signal, pauses });
  return { form, asked: () => asked, log: () => lines.join(""), stop: () => stop.abort() };
}

test("native sidecars come with Kubernetes 1.29", () => {
  assert.equal(
    ["28", "29", "29+", "37"].map((minor) => hasNativeSidecars(version(minor))),
    [false, true, true, true],
  );
  assert.ok(hasNativeSidecars(version("0", "2")));
});

test("an answer that is no version is none", () => {
  for (const answer of [undefined, "1.37", {}, { major: "1" }, { major: "one", minor: "2" }, { major: 1, minor: 37 }]) {
    assert.is(readServerVersion(answer), undefined);
  }
});

test("auto follows the version of the API server, which is asked once", async () => {
  for (const [minor, native] of [
    ["37", true],
    ["28", false],
  ] as const) {
    const { form, asked, stop } = await choose("auto", [version(minor)]);
    assert.is(form.native(), native);
    assert.is(asked(), 1);
    stop();
  }
});

test("false asks nobody", async () => {
  const { form, asked } = await choose(false, []);
  assert.not(form.native());
  assert.is(asked(), 0);
});

test("true is refused below 1.29", async () => {
  try {
    await choose(true, [version("28")]);
    assert.unreachable();
  } catch (error) {
    assert.match(String(error), "The API server has version v1.28.0, but native sidecars take 1.29 or newer");
  }
});

test("without an answer auto means ordinary containers, with a warning, until there is one", async () => {
  const silent = ["connect ECONNREFUSED", "connect ECONNREFUSED", "connect ECONNREFUSED"];
  const { form, log, stop } = await choose("auto", [...silent, ...silent, version("37")]);
  assert.not(form.native());
  assert.match(log(), /WARN.*the API server's version is unknown; sidecars are ordinary containers.*ECONNREFUSED/);
  await eventually("the answer counts", () => form.native());
  stop();
});

test("without an answer true is believed, until the API server turns out to be too old", async () => {
  const { form, log, stop } = await choose(true, ["gone", "gone", "gone", version("28")]);
  assert.ok(form.native());
  await eventually("the answer counts", () => !form.native());
  assert.match(log(), /ERROR.*native sidecars take 1.29 or newer/);
  stop();
});

test.run();
