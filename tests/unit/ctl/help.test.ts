import { execFile } from "node:child_process";
import { promisify } from "node:util";
import * as assert from "uvu/assert";
import { kumactl } from "../../../src/ctl/program.js";
import { completeProgram } from "../../../src/lib/cli.js";
import { type Flags, isHidden, type Node } from "../../../src/lib/command.js";
import { registry } from "../../../src/resources/registry.js";
import { suite } from "../../support/suite.js";
import { createHome, golden } from "./stage.js";

const test = suite("kumactl help and completion");

const home = createHome();
test.after(() => home.remove());

const { tree } = completeProgram(kumactl(registry));

function visible(node: Node): Node[] {
  return isHidden(node) ? [] : [node, ...node.children.flatMap(visible)];
}

for (const { words } of visible(tree)) {
  test(`the help page of "${["kumactl", ...words].join(" ")}" is as reviewed`, async () => {
    const { code, out, err } = await home.run([...words, "-h"]);
    assert.equal({ code, err }, { code: 0, err: "" });
    const { actual, expected } = golden(`help/${["kumactl", ...words].join("-")}.txt`, out);
    assert.is(actual, expected);
    assert.is((await home.run(["help", ...words])).out, out);
  });
}

test("every command and flag says what it is for, in a line that fits", () => {
  for (const node of visible(tree)) {
    const flags: Flags = node.command?.flags ?? {};
    const texts = [node.words.length === 0 ? [] : node.summary, Object.values(flags).map(({ help }) => help)].flat();
    for (const text of texts) assert.ok(text.length > 3 && text.length <= 100 && !text.endsWith("."), text);
  }
});

async function candidates(...words: string[]): Promise<string[]> {
  const { out } = await home.run(["__complete", "--", ...words]);
  return out.split("\n").flatMap((line) => (line === "" ? [] : [line.split("\t", 1)[0] ?? ""]));
}

test("commands, kinds, flags and values complete", async () => {
  assert.equal(await candidates("g"), ["generate", "get"]);
  assert.equal(await candidates("get", "traffic-"), ["traffic-logs", "traffic-permissions", "traffic-routes"]);
  assert.equal(await candidates("--mesh", "m", "get", "mes"), ["meshes"]);
  assert.equal(await candidates("get", "meshes", "--o"), ["--output"]);
  assert.equal(await candidates("get", "meshes", "-o", ""), ["table", "yaml", "json"]);
  assert.equal(await candidates("get", "meshes", "--output=j"), ["--output=json"]);
  assert.equal(await candidates("--log-level", "d"), ["debug"]);
  assert.equal(await candidates("delete", "--mesh", "m", "mesh"), ["mesh"]);
  assert.equal(await candidates("config", "control-planes", "s"), ["switch"]);
  assert.equal(await candidates("completion", ""), ["bash", "fish", "zsh"]);
});

test("values that only the user knows have no completions, and hidden commands aren't offered", async () => {
  assert.equal(await candidates("delete", "mesh", ""), []);
  assert.equal(await candidates("apply", "-f", ""), []);
  assert.equal(await candidates("get", "meshes", ""), []);
  assert.equal(await candidates("__"), []);
  assert.match((await home.run(["__complet"])).err, /^Error: unknown command/);
});

test("bash takes the script and completes with it", async () => {
  const { out: script } = await home.run(["completion", "bash"]);
  // What kumactl would answer is tested above; here it is what the script asks and what it makes of the answer.
  const shell = `
kumactl() { printf '%s|' "$@" >&2; printf 'meshes\\tShow Meshes\\ndataplanes\\tShow Dataplanes\\n'; }
${script.replace("2>/dev/null", "")}
ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _kumactl; echo "\${COMPREPLY[*]}"; }
ask kumactl get ''
ask kumactl get meshes --output = j
ask kumactl get meshes --output =
`;
  const { stdout, stderr } = await promisify(execFile)("bash", ["--norc", "-c", shell]);
  assert.is(stdout, "meshes dataplanes\n".repeat(3));
  assert.is(stderr, "__complete|--|get||__complete|--|get|meshes|--output|j|__complete|--|get|meshes|--output||");
});

test("scripts for zsh and fish ask the same question", async () => {
  for (const shell of ["zsh", "fish"]) {
    const { out } = await home.run(["completion", shell]);
    const { actual, expected } = golden(`completion.${shell}`, out);
    assert.is(actual, expected);
    assert.match(out, "kumactl __complete -- ");
  }
});

test.run();
