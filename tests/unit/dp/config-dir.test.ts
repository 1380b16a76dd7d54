import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { createTemporary, examineGiven, openGiven } from "../../../src/dp/config-dir.js";
import { type PidRecord, readPidRecord, writePidRecord } from "../../../src/dp/orphan.js";
import { writeOwnFile } from "../../../src/dp/own-file.js";
import { UserError } from "../../../src/lib/errors.js";
import { suite } from "../../support/suite.js";

const test = suite("the config dir of kuma-dp");
const asRoot = suite("the config dir of root's kuma-dp", { needs: "root" });

const before = process.cwd();
let scratch = "";
for (const { before: start, after: end } of [test, asRoot]) {
  start.each(() => {
    scratch = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-config-dir-"));
  });
  end.each(() => {
    process.chdir(before);
    fs.rmSync(scratch, { recursive: true, force: true });
  });
}

const nobody = 65_534;

function refusal(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    assert.instance(error, UserError);
    return (error as UserError).message;
  }
  return "nothing was refused";
}

test("is made with its parents when it is missing, and becomes the working directory", () => {
  const directory = path.join(scratch, "a", "b");
  examineGiven(directory);
  const opened = openGiven(directory);
  assert.is(fs.realpathSync("."), fs.realpathSync(directory));
  opened.write("token", "secret");
  assert.is(fs.readFileSync(path.join(directory, "token"), "utf8"), "secret");
  assert.is(fs.statSync(path.join(directory, "token")).mode & 0o777, 0o600);
  opened.remove();
  assert.equal(fs.readdirSync(directory), []);
});

test("stays the same directory when its path changes", () => {
  const directory = path.join(scratch, "given");
  const opened = openGiven(directory);
  fs.renameSync(directory, `${directory}.moved`);
  fs.mkdirSync(directory);
  opened.write("bootstrap.yaml", "{}");
  assert.equal([fs.readdirSync(directory), fs.readdirSync(`${directory}.moved`)], [[], ["bootstrap.yaml"]]);
});

test("is rejected when it is a link or not a directory, or when others can write to it", () => {
  const directory = path.join(scratch, "given");
  fs.mkdirSync(directory);
  const link = path.join(scratch, "link");
  fs.symlinkSync(directory, link);
  const file = path.join(scratch, "file");
  fs.writeFileSync(file, "");
  for (const [place, reason] of [
    [link, "it has to be a directory, not a link to one"],
    [file, "it has to be a directory, not a link to one"],
  ] as const) {
    assert.is(
      refusal(() => examineGiven(place)),
      `could not use --config-dir ${place}: ${reason}`,
    );
  }
  assert.match(
    refusal(() => openGiven(link)),
    "not a link to one",
  );
  for (const mode of [0o770, 0o757]) {
    fs.chmodSync(directory, mode);
    const expected = `it is a directory that others may write to (its mode is 0${mode.toString(8)}; chmod go-w fixes that)`;
    assert.match(
      refusal(() => examineGiven(directory)),
      expected,
    );
    assert.match(
      refusal(() => openGiven(directory)),
      expected,
    );
  }
  // Where nobody may touch what others made.
  fs.chmodSync(directory, 0o1777);
  assert.is(
    refusal(() => openGiven(directory)),
    "nothing was refused",
  );
});

asRoot("is refused when it belongs to another user, before anything in it is believed", () => {
  const directory = path.join(scratch, "given");
  fs.mkdirSync(directory);
  fs.chownSync(directory, nobody, nobody);
  for (const open of [examineGiven, openGiven]) {
    const message = refusal(() => open(directory));
    assert.is(
      message,
      `could not use --config-dir ${directory}: it is a directory that belongs to user ${nobody}, not to user 0 or root`,
    );
  }
  assert.equal(fs.readdirSync(directory), []);
});

const record: PidRecord = { mesh: "default", name: "a", kumaDp: { pid: 100, startTime: "1" } };

asRoot("a record of processes that another user wrote is none", () => {
  writePidRecord(scratch, record);
  assert.equal(readPidRecord(scratch), record);
  fs.chownSync(path.join(scratch, "envoy.pid"), nobody, nobody);
  assert.is(readPidRecord(scratch), undefined);
});

test("a process record that is a link, a directory or endless is ignored", () => {
  const file = path.join(scratch, "envoy.pid");
  writePidRecord(scratch, record);
  fs.renameSync(file, `${file}.real`);
  fs.symlinkSync(`${file}.real`, file);
  assert.is(readPidRecord(scratch), undefined);
  fs.rmSync(file);
  fs.mkdirSync(file);
  assert.is(readPidRecord(scratch), undefined);
  fs.rmdirSync(file);
  fs.writeFileSync(file, JSON.stringify(record).padEnd(70_000));
  assert.is(readPidRecord(scratch), undefined);
});

test("files are written beside links that stand in their way, never through them", () => {
  const victim = path.join(scratch, "victim");
  fs.writeFileSync(victim, "untouched");
  for (const name of ["token", ".token.new", ".envoy.pid.new"]) fs.symlinkSync(victim, path.join(scratch, name));
  writeOwnFile(scratch, "token", "secret");
  writePidRecord(scratch, record);
  assert.is(fs.readFileSync(victim, "utf8"), "untouched");
  assert.ok(fs.lstatSync(path.join(scratch, "token")).isFile());
  assert.equal(readPidRecord(scratch), record);
});

test("a file that cannot take its place leaves nothing behind", () => {
  fs.mkdirSync(path.join(scratch, "token"));
  assert.throws(() => writeOwnFile(scratch, "token", "secret"));
  assert.equal(fs.readdirSync(scratch), ["token"]);
});

test("a temporary one is only accessible to its owner and removed as a whole", () => {
  const opened = createTemporary(scratch, "default", "a");
  opened.write("token", "secret");
  assert.is(fs.statSync(opened.path).mode & 0o777, 0o700);
  opened.remove();
  assert.equal(fs.readdirSync(scratch), []);
});

test.run();
asRoot.run();
