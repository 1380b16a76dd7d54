import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { leftOvers, temporaryPrefix } from "../../../src/dp/config-dir.js";
import { judge, type PidRecord, parsePidRecord, readPidRecord, writePidRecord } from "../../../src/dp/orphan.js";
import { type ProcessFacts, processTable } from "../../../src/dp/process-facts.js";
import { takeOver } from "../../../src/dp/take-over.js";
import { createLogger } from "../../../src/lib/logger.js";
import { suite } from "../../support/suite.js";

const test = suite("kuma-dp ends the Envoy that a killed kuma-dp left, and no other process");

const logger = createLogger({ name: "test", level: "off" });
const uid = 1000;
const record: PidRecord = {
  mesh: "default",
  name: "backend-1",
  kumaDp: { pid: 100, startTime: "1000" },
  envoy: { pid: 101, startTime: "1005", executable: "/opt/kuma/bin/envoy" },
};
const kumaDp: ProcessFacts = { uid, startTime: "1000", executable: "/opt/kuma/bin/kuma" };
const envoy: ProcessFacts = { uid, startTime: "1005", executable: "/opt/kuma/bin/envoy" };

const table = (entries: Record<number, ProcessFacts>) => (pid: number) => entries[pid];
const orphan = { kind: "orphan", envoys: [record.envoy] };

test("Envoy alive, its kuma-dp gone: an orphan", () => {
  assert.equal(judge(record, table({ 101: envoy }), uid), orphan);
});
test("the dead kuma-dp's process ID was reused: still an orphan", () => {
  assert.equal(judge(record, table({ 100: { ...kumaDp, startTime: "9" }, 101: envoy }), uid), orphan);
});

test("two Envoys alive during a reload, their kuma-dp gone: both are orphans", () => {
  const predecessor = { pid: 102, startTime: "1001", executable: "/opt/old/envoy", epoch: 0 };
  const both: PidRecord = { ...record, predecessor };
  const old = { uid, startTime: "1001", executable: "/opt/old/envoy" };
  assert.equal(parsePidRecord(JSON.stringify(both)), both);
  assert.equal(judge(both, table({ 101: envoy, 102: old }), uid), {
    kind: "orphan",
    envoys: [record.envoy, predecessor],
  });
  assert.equal(judge(both, table({ 102: old }), uid), { kind: "orphan", envoys: [predecessor] });
});

const notOrphans: [string, Record<number, ProcessFacts>, unknown][] = [
  ["kuma-dp alive: its directory is in use", { 100: kumaDp, 101: envoy }, { kind: "in-use", pid: 100 }],
  ["both gone", {}, { kind: "free" }],
  ["another user's process", { 101: { ...envoy, uid: 0 } }, { kind: "free" }],
  ["the number was given to a process that started later", { 101: { ...envoy, startTime: "1006" } }, { kind: "free" }],
  ["another program", { 101: { ...envoy, executable: "/usr/bin/redis-server" } }, { kind: "free" }],
  ["a program that we may not look at", { 101: { ...envoy, executable: undefined } }, { kind: "free" }],
];
for (const [sentence, processes, verdict] of notOrphans) {
  test(`${sentence}: left alone`, () => {
    assert.equal(judge(record, table(processes), uid), verdict);
  });
}
test("no record: nothing to end", () => {
  assert.equal(judge(undefined, table({ 101: envoy }), uid), { kind: "free" });
});

test("a pid file that is not ours is ignored", () => {
  for (const text of [
    "",
    "12",
    "[]",
    "null",
    '{"mesh":"default"}',
    JSON.stringify({ ...record, envoy: { ...record.envoy, pid: -1 } }),
    JSON.stringify({ ...record, envoy: { ...record.envoy, pid: 1 } }),
    JSON.stringify({ ...record, envoy: { pid: 101, startTime: "1005" } }),
  ]) {
    assert.is(parsePidRecord(text), undefined, text);
  }
});

test("the record is read back from the directory that it was written to", () => {
  const directory = mkdtempSync(path.join(tmpdir(), "orphan-"));
  try {
    assert.is(readPidRecord(directory), undefined);
    writePidRecord(directory, record);
    assert.equal(readPidRecord(directory), record);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("only real directories of the same mesh and name are searched", () => {
  const temporary = mkdtempSync(path.join(tmpdir(), "orphan-"));
  try {
    const prefix = temporaryPrefix("default", "backend-1");
    mkdirSync(path.join(temporary, `${prefix}abc`));
    mkdirSync(path.join(temporary, `${temporaryPrefix("default", "backend-2")}abc`));
    mkdirSync(path.join(temporary, "elsewhere"));
    symlinkSync("elsewhere", path.join(temporary, `${prefix}link`));
    const own = process.getuid?.() ?? 0;
    assert.equal(leftOvers(temporary, "default", "backend-1", own), [path.join(temporary, `${prefix}abc`)]);
    assert.equal(leftOvers(temporary, "default", "backend-1", own + 1), []);
  } finally {
    rmSync(temporary, { recursive: true });
  }
});

test("a given directory with the Envoy of another dataplane is refused, and that Envoy is left alone", async () => {
  const directory = mkdtempSync(path.join(tmpdir(), "orphan-"));
  try {
    writePidRecord(directory, record);
    const traces = { temporary: directory, given: directory, uid, processes: table({ 101: envoy }) };
    let message = "";
    await takeOver({ mesh: "default", name: "redis-1" }, traces, logger).catch((error: Error) => {
      message = error.message;
    });
    assert.match(message, "in use by the Envoy of dataplane backend-1 of mesh default, process id 101");
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("the boundary between mesh and name can't be shifted", () => {
  assert.is.not(temporaryPrefix("a", "b.c"), temporaryPrefix("a.b", "c"));
});

test("this process is found with its own binary", () => {
  const facts = processTable(process.pid);
  assert.is(facts?.uid, process.getuid?.());
  assert.is(facts?.executable, process.execPath);
  assert.is(processTable(2 ** 22 + 1), undefined);
});

test.run();
