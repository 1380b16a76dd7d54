import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import { bin } from "../support/executable.js";
import { type Machine, startMachine } from "../support/machine.js";
import { codeBlocks, shellBlocks } from "../support/readme.js";
import { suite } from "../support/suite.js";
import { mutualTls, quickstart, type Walk, walking } from "../support/walk.js";

const test = suite("the README's examples of policies on its quickstart", {
  needs: ["root", "envoy", "ip", "unshare", "nsenter"],
});

let machine: Machine;
let walk: Walk;

test.before(async () => {
  machine = await startMachine({
    // The checkout may be in /tmp, which the machine has for itself.
    setUp: `mount --bind ${bin} /mnt
      mount -t proc proc /proc; mount -t tmpfs tmpfs /tmp; mount -t tmpfs tmpfs /dev/shm`,
    shell: ["env", "-i", "HOME=/tmp", `PATH=/mnt:${process.env.PATH}`, "bash", "-ec"],
  });
});

test.after(() => machine.stop());

function does(script: string): string {
  const { status, stdout, stderr } = machine.run(script);
  assert.is(status, 0, stderr);
  // Nothing is switched off, and nothing is asked for in vain.
  assert.is(stderr, "");
  return stdout;
}

const apply = (document: string) => does(`kumactl apply -f - <<'END-OF-EXAMPLE'\n${document}\nEND-OF-EXAMPLE`);
const settled = (name: string) =>
  /"settled": true/.test(machine.run(`kumactl inspect dataplane ${name} --diff -o json`).stdout);
const pings = "for n in $(seq 20); do exec 3<>/dev/tcp/127.0.0.1/10000; echo PING >&3; head -n 1 <&3; exec 3>&-; done";

/** Applies an example as it is printed, and sees that all traffic still passes, and that mTLS is as it was. */
async function keepsTrafficGoing(example: () => void, mtls: "on" | "off"): Promise<void> {
  example();
  for (const name of ["backend-1", "redis-1"]) {
    await eventually(`${name} has acknowledged what follows`, () => settled(name));
  }
  assert.is(machine.run(pings, 60).stdout, "PING\n".repeat(20));
  assert.match(does("kumactl get meshes"), new RegExp(`^default +${mtls}\\b`, "m"));
}

async function allExamples(mtls: "on" | "off"): Promise<void> {
  await walking(walk, async () => {
    const shells = shellBlocks("Policies");
    const documents = codeBlocks("Policies", "yaml");
    assert.equal([shells.length, documents.length], [1, 4]);
    for (const script of shells) await keepsTrafficGoing(() => does(script), mtls);
    for (const document of documents) await keepsTrafficGoing(() => apply(document), mtls);
    await eventually("connections are logged", () =>
      /\(backend\)->.*\(redis\)/.test(machine.run("cat /tmp/access.log").stdout),
    );
  });
}

test("the quickstart works", async () => {
  walk = await quickstart(machine);
});

test("without mTLS: each is accepted without a warning, and no connection is lost", () => allExamples("off"));

test("afterwards mTLS can be switched on by the README's commands", async () => {
  for (const policy of [
    "traffic-log backend-to-anyone",
    "traffic-route redis-canary",
    "healthcheck redis",
    "proxytemplate local-tls",
  ]) {
    does(`kumactl delete ${policy}`);
  }
  apply("type: Mesh\nname: default");
  assert.is(machine.run("rm -f /tmp/access.log").status, 0);
  await mutualTls(machine, walk);
});

test("with mTLS: the same, and mTLS stays on", () => allExamples("on"));

test.run();
