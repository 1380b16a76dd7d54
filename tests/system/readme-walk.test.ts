import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import { bin } from "../support/executable.js";
import { connectMachines, type Machine, startMachine } from "../support/machine.js";
import { suite } from "../support/suite.js";
import { mutualTls, quickstart, secondMachine } from "../support/walk.js";

const test = suite("the walk of the README on two machines", {
  needs: ["root", "envoy", "ip", "unshare", "nsenter"],
});

const temporary = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-walk-"));
const machines: Machine[] = [];

/** A machine with a /tmp and a home of its own, where the programs are in PATH. */
async function machine(name: string): Promise<Machine> {
  const own = path.join(temporary, name);
  fs.mkdirSync(own, { mode: 0o1777 });
  const environment = ["HOME=/tmp", "PATH=/mnt:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"];
  const started = await startMachine({
    setUp: `
      mount --bind ${bin} /mnt
      mount --bind ${own} /tmp
      mount -t tmpfs tmpfs /dev/shm
      mount -t proc proc /proc`,
    shell: ["env", "-i", "-C", "/mnt", ...environment, "bash", "-ec"],
  });
  machines.push(started);
  return started;
}

test.after(async () => {
  for (const one of machines) await one.stop();
  fs.rmSync(temporary, { recursive: true, force: true });
});

test("its commands, as printed, set up a mesh with mutual TLS across both", async () => {
  const first = await machine("first");
  const second = await machine("second");
  connectMachines([first, "10.0.0.1/24"], [second, "10.0.0.2/24"]);
  const copy = (file: string) => {
    const [from, to] = ["first", "second"].map((name) => path.join(temporary, name, path.relative("/tmp", file)));
    fs.copyFileSync(from ?? "", to ?? "");
  };
  const walk = await quickstart(first);
  await mutualTls(first, walk);
  const sidecar = await secondMachine({ machine: first, walk }, second, copy);
  assert.not.match(sidecar.output(), /can't be reached|localhost/);
});

test("nothing passes between them in plaintext, and the second one changes nothing", async () => {
  const [first, second] = machines;
  if (first === undefined || second === undefined) throw new Error("there are no machines");
  const ask = (port: number, address: string) =>
    `exec 3<>/dev/tcp/${address}/${port}; echo PING >&3; timeout 2 head -c 4 <&3`;
  assert.is(first.run(`bash -c '${ask(6379, "127.0.0.1")}'`).stdout, "PING");
  assert.is.not(second.run(`bash -c '${ask(9000, "10.0.0.1")}'`).stdout, "PING");
  second.run("kumactl config control-planes add --name=first --address=http://10.0.0.1:5681");
  await eventually("it may read", () => second.run("kumactl get dataplanes").stdout.includes("web-1"));
  const refused = second.run("kumactl delete dataplane web-1");
  assert.is(refused.status, 1);
  assert.match(refused.stderr, /403|loopback|machine/);
});

test.run();
