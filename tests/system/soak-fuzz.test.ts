import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { readFailing } from "../soak/form/corpus.js";
import { runSoak, type Stage } from "../soak/form/soak.js";
import type { Flood } from "../soak/fuzz/attack.js";
import { createFuzz } from "../soak/fuzz/soak.js";
import { openFuzzStage } from "../soak/fuzz/stage.js";
import { createTally } from "../soak/fuzz/tally.js";
import { suite } from "../support/suite.js";

const test = suite("hostile bytes on every port (the short form of soak:fuzz)");

const known = path.resolve("tests/soak/corpus/fuzz");
const corpus = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-soak-fuzz-"));
let stage: Stage<Flood> | undefined;

test.after(async () => {
  await stage?.close();
  fs.rmSync(corpus, { recursive: true, force: true });
});

for (const name of fs.readdirSync(known).sort()) {
  const { input, error } = readFailing("fuzz", path.join(known, name));
  test(`no longer true: ${error} (${name})`, async () => {
    const open = stage ?? (await openFuzzStage(createTally()));
    stage = undefined;
    try {
      await open.step(input as Flood, 0);
      stage = open;
    } finally {
      // One that did not hold is no ground for the next.
      if (stage === undefined) await open.close();
    }
  });
}

test("memory, open files and answers come back after those", async () => {
  const open = stage;
  stage = undefined;
  assert.ok(open !== undefined, "the last input did not hold");
  try {
    await open.settle();
  } finally {
    await open.close();
  }
});

test("floods with a fixed seed end no process and delay no honest client", async () => {
  const lines: string[] = [];
  const options = { seed: 20_260, count: 8, corpus, resume: false };
  const { failures } = await runSoak(createFuzz(0.6), options, { say: (line) => lines.push(line) });
  assert.equal(failures, [], lines.join("\n"));
});

test.run();
