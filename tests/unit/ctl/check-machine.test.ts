import { spawn } from "node:child_process";
import { createServer } from "node:net";
import * as assert from "uvu/assert";
import { thisMachine } from "../../../src/ctl/check/machine.js";
import { eventually } from "../../support/eventually.js";
import { freePort } from "../../support/ports.js";
import { suite } from "../../support/suite.js";

const test = suite("kumactl check: this machine");

const machine = thisMachine({ PATH: "/nowhere", KUMA_DATAPLANE_RUNTIME_BINARY_PATH: process.execPath });

test("its C library tells its version", () => {
  assert.match(machine.glibc() ?? "", /^2\.\d+$/);
});

test("the configured Envoy is the one that is looked at", async () => {
  assert.is(machine.findEnvoy(), process.execPath);
  assert.is(await machine.diagnoseEnvoy(process.execPath), undefined);
});

test("a free port stays free", async () => {
  const binding = { port: await freePort(), setting: "X" };
  assert.is(await machine.tryPort(binding), undefined);
  assert.is(await machine.tryPort({ ...binding, host: "127.0.0.1" }), undefined);
});

/** A process of its own that listens where it is told, until the end of `act`. */
async function besideListener(host: string, act: (port: number, pid: number) => Promise<void>): Promise<void> {
  const port = await freePort();
  const child = spawn(process.execPath, ["-e", `require("net").createServer().listen(${port}, "${host}")`]);
  try {
    await eventually("it listens", async () => (await machine.tryPort({ port, setting: "X" }))?.taken === true);
    await act(port, child.pid ?? 0);
  } finally {
    child.kill("SIGKILL");
  }
}

for (const host of ["127.0.0.1", "0.0.0.0", "::"]) {
  test(`a port that another process has on ${host} is taken, and by whom`, () =>
    besideListener(host, async (port, pid) => {
      const refusal = await machine.tryPort({ port, setting: "X" });
      assert.equal(
        { taken: refusal?.taken, holder: refusal?.holder },
        { taken: true, holder: { program: "node", pid } },
      );
      assert.match(refusal?.error.message ?? "", `Could not listen on port ${port}: the port is already taken`);
    }));
}

test("an address that is not this machine's is refused, but not taken", async () => {
  const refusal = await machine.tryPort({ port: await freePort(), host: "192.0.2.1", setting: "X" });
  assert.equal({ taken: refusal?.taken, holder: refusal?.holder }, { taken: false, holder: undefined });
});

test("our own sockets are found as well", async () => {
  const server = createServer();
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  assert.is((await machine.tryPort({ port, setting: "X" }))?.holder?.pid, process.pid);
  await new Promise((resolve) => server.close(resolve));
});

test.run();
