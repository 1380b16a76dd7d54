import { Readable } from "node:stream";
import * as assert from "uvu/assert";
import { command, list, type Program, runProgram, text, toggle, wantsColor } from "../../../src/lib/cli.js";
import { parseDuration } from "../../../src/lib/durations.js";
import { UserError } from "../../../src/lib/errors.js";
import { suite } from "../../support/suite.js";

const test = suite("cli");

const run = command({
  path: "run",
  summary: "Run it",
  args: ["NAME"],
  flags: {
    file: text("config-file", { short: "c", help: "configuration file" }),
    wait: text("wait", { help: "how long", placeholder: "duration", default: 1000, parse: parseDuration }),
    force: toggle("force", { help: "don't ask" }),
    tags: list("tag", { help: "filter", aliases: ["label"] }),
  },
  async run({ flags, args, logLevel, io }) {
    io.stdout.write(JSON.stringify({ ...flags, args, logLevel }));
  },
});

const add = command({
  path: "config add",
  aliases: ["create"],
  summary: "Add one",
  flags: {
    name: text("name", { help: "name", required: true }),
    address: text("address", { help: "address", required: true }),
  },
  async run({ flags, io }) {
    io.stdout.write(`${flags.name} ${flags.address}`);
    return flags.name === "three" ? 3 : 0;
  },
});

const given = command({
  path: "given",
  summary: "Say what was given",
  flags: {
    mode: text("mode", { help: "mode", default: "a" }),
    tags: list("tag", { help: "filter", aliases: ["label"] }),
    force: toggle("force", { help: "don't ask" }),
  },
  async run({ given, io }) {
    io.stdout.write(JSON.stringify([...given]));
  },
});

const fail = command({
  path: "fail",
  summary: "Fail",
  flags: { bug: toggle("bug", { help: "not the user's fault" }) },
  async run({ flags }) {
    if (flags.bug) throw new TypeError("undefined is not a function");
    throw UserError.of(
      "api.refused",
      { title: "Could not create a resource", details: "Resource is not valid" },
      { causes: [{ field: "networking.inbound", message: "has to contain at least one" }] },
    );
  },
});

const program: Program = {
  name: "kuma-x",
  description: "Try things.",
  commands: [run, add, given, fail],
  groups: [{ path: "config", summary: "Configure it" }],
  logLevel: "info",
};

async function invoke(...words: string[]) {
  let out = "";
  let err = "";
  const code = await runProgram(program, words, {
    stdin: Readable.from([]),
    stdout: { write: (chunk) => (out += chunk) },
    stderr: { write: (chunk) => (err += chunk) },
    env: {},
    color: false,
  });
  return { code, out, err, first: err.split("\n", 1)[0] };
}

test("flags and arguments have their types and defaults", async () => {
  const plain = await invoke("run", "a");
  assert.equal(JSON.parse(plain.out), { wait: 1000, force: false, tags: [], args: ["a"], logLevel: "info" });
  const full = await invoke("run", "--tag", "a=b,c=d", "a", "--label=e", "--wait", "2s", "--force", "-c", "-");
  assert.equal(JSON.parse(full.out), {
    file: "-",
    wait: 2000,
    force: true,
    tags: ["a=b", "c=d", "e"],
    args: ["a"],
    logLevel: "info",
  });
});

test("a command can distinguish a given flag from a default, by any name and of any kind", async () => {
  const given = async (...words: string[]) => (await invoke("given", ...words)).out;
  assert.is(await given(), "[]");
  assert.is(
    await given("--mode", "a", "--label=x", "--force", "--log-level=info"),
    '["mode","tags","force","logLevel"]',
  );
});

test("flags may stand anywhere, also between the command's words", async () => {
  assert.is((await invoke("--log-level", "debug", "config", "--name", "n", "add", "--address=x")).out, "n x");
  assert.match((await invoke("--log-level=debug", "-c", "run", "run", "a")).out, /"file":"run".*"logLevel":"debug"/);
});

test("short flags accept their value in every form", async () => {
  for (const words of [["-cfile"], ["-c=file"], ["-c", "file"]]) {
    assert.is(JSON.parse((await invoke("run", "a", ...words)).out).file, "file");
  }
});

test("a flag with one value that is given two is rejected, by any of its names; lists accept all", async () => {
  for (const words of [
    ["--config-file", "a", "--config-file=b"],
    ["-ca", "--config-file", "b"],
  ]) {
    const { code, out, err } = await invoke("run", "x", ...words);
    assert.equal([code, out], [1, ""]);
    assert.match(err, /^Error: flag --config-file takes one value, but is set to "a" and to "b"\nUsage:/);
  }
  const { code, out } = await invoke("run", "x", "-c", "a", "-c", "a", "--tag", "b,c", "--label", "d");
  assert.is(code, 0);
  const { file, tags } = JSON.parse(out);
  assert.equal([file, tags], ["a", ["b", "c", "d"]]);
});

test("nothing after -- is a flag or a command", async () => {
  assert.equal(JSON.parse((await invoke("run", "--", "-h")).out).args, ["-h"]);
  assert.equal(JSON.parse((await invoke("run", "--", "-cx")).out).args, ["-cx"]);
});

test("the code a command returns is the exit code, and aliases name the same command", async () => {
  assert.is((await invoke("config", "create", "--name", "three", "--address", "x")).code, 3);
});

test("groups and the program itself print help and succeed", async () => {
  for (const words of [[], ["-h"], ["--help"], ["help"]]) {
    const { code, out } = await invoke(...words);
    assert.is(code, 0);
    assert.match(
      out,
      /^Try things\.\n\nUsage:\n {2}kuma-x \[command\]\n\nAvailable Commands:\n {2}config {4}Configure it\n/,
    );
  }
  const group = await invoke("config");
  assert.is(group.code, 0);
  assert.match(group.out, /Aliases|Available Commands:\n {2}add {3}Add one\n/);
});

test("-h takes precedence over everything else on the line, and help prints the same", async () => {
  const asked = await invoke("config", "add", "--nonsense", "-h");
  assert.is(asked.code, 0);
  assert.is(asked.out, (await invoke("help", "config", "add")).out);
  assert.match(asked.out, /--address string {3}address \(required\)/);
});

test("an unknown command names its place and the nearest command", async () => {
  const top = await invoke("rnu");
  assert.is(top.code, 1);
  assert.is(
    top.err,
    'Error: unknown command "rnu" for "kuma-x"\n\nDid you mean this?\n\trun\n\nRun \'kuma-x --help\' for usage.\n',
  );
  assert.match(
    (await invoke("config", "zzz")).err,
    /^Error: unknown command "zzz" for "kuma-x config"\n\nRun 'kuma-x config --help'/,
  );
  assert.match((await invoke("help", "zzz")).err, /unknown command "zzz"/);
});

test("an invalid command line is explained, with the usage after it", async () => {
  const cases: [string[], string][] = [
    [["run", "a", "--tga", "x"], "Error: unknown flag: --tga; did you mean --tag?"],
    [["run", "a", "-x"], "Error: unknown shorthand flag: -x"],
    [["--lgo-level"], "Error: unknown flag: --lgo-level; did you mean --log-level?"],
    [["run", "a", "--tag"], "Error: flag needs an argument: --tag"],
    [
      ["run", "a", "--tag", "--force"],
      "Error: flag needs an argument: --tag; for a value that starts with a dash write --tag=--force",
    ],
    [["run", "a", "--force=1"], "Error: flag --force takes no value"],
    [["run"], "Error: accepts 1 arg(s), received 0"],
    [["run", "a", "b"], "Error: accepts 1 arg(s), received 2"],
    [["config", "add"], 'Error: required flag(s) "address", "name" not set'],
    [
      ["run", "a", "--wait", "soon"],
      'Error: invalid argument "soon" for "--wait" flag: "soon" is not a duration; write for example 300ms, 45s, 1m30s or 720h',
    ],
  ];
  for (const [words, expected] of cases) {
    const { code, first, err, out } = await invoke(...words);
    assert.is(first, expected);
    assert.is(code, 1);
    assert.match(err, "\nUsage:\n");
    assert.is(out, "");
  }
});

test("an error of a running command is its message and causes, without usage", async () => {
  const { code, err } = await invoke("fail");
  assert.is(code, 1);
  assert.is(
    err,
    "Error: Could not create a resource (Resource is not valid)\n* networking.inbound: has to contain at least one\n",
  );
});

test("for a bug the user is asked to report it, with a stack only at debug", async () => {
  const quiet = await invoke("fail", "--bug");
  assert.is(quiet.err, "Error: undefined is not a function\nThis is a bug in kuma-x: please report it.\n");
  assert.match((await invoke("fail", "--bug", "--log-level", "debug")).err, /cli\.test\.ts/);
});

test("an unknown log level is rejected", async () => {
  const { code, err } = await invoke("run", "a", "--log-level", "loud");
  assert.is(code, 1);
  assert.is(err, 'Error: unknown log level "loud"\n');
});

test("version prints one line, in detail four", async () => {
  assert.match((await invoke("version")).out, /^\S+\n$/);
  assert.match(
    (await invoke("version", "-a")).out,
    /^Version: {4}\S+\nGit Tag: {4}.+\nGit Commit: .+\nBuild Date: .+\n$/,
  );
});

test("colours go to a terminal, unless NO_COLOR is set", () => {
  assert.is(wantsColor({ isTTY: true }, {}), true);
  assert.is(wantsColor({ isTTY: true }, { NO_COLOR: "" }), true);
  assert.is(wantsColor({ isTTY: true }, { NO_COLOR: "0" }), false);
  assert.is(wantsColor({ isTTY: true }, { TERM: "dumb" }), false);
  assert.is(wantsColor({}, {}), false);
});

test.run();
