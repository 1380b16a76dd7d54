import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import * as assert from "uvu/assert";
import { thisMachine } from "../../../src/ctl/check/machine.js";
import { freePort } from "../../support/ports.js";
import { suite } from "../../support/suite.js";

const test = suite("kumactl check: this machine");

const machine = thisMachine({ PATH: "/nowhere", KUMA_DATAPLANE_RUNTIME_BINARY_PATH: process.execPath });

test("its C library reports its version", () => {
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

/**
 * A process of its own that listens on a port of `host` until the end of `act`. It picks the port
 * and says so: `tryPort` binds the port for a moment, and must not be first.
 */
async function besideListener(host: string, act: (port: number, pid: number) => Promise<void>): Promise<void> {
  const script = `const s = require("net").createServer().listen(0, "${host}", () => console.log(s.address().port))`;
  const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    const [line] = await once(createInterface(child.stdout), "line");
    await act(Number(line), child.pid ?? 0);
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
