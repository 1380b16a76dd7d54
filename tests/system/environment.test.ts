import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { createServerCertificate, type ServerCertificate } from "../../src/identity/server-certificate.js";
import { eventually } from "../support/eventually.js";
import { anyPorts, type Running, startProgram } from "../support/executable.js";
import { freePort } from "../support/ports.js";
import { suite } from "../support/suite.js";

const test = suite("the environment of other programs");

let scratch = "";
test.before(() => {
  scratch = mkdtempSync(path.join(tmpdir(), "kuma-environment-"));
});
test.after(() => rmSync(scratch, { recursive: true, force: true }));

const programs = ["kuma-cp", "kuma-dp", "kumactl", "kuma-tcp-echo", "kuma-injector", "kuma-init"];

async function outputOf(program: string, args: readonly string[], env: Readonly<Record<string, string>>) {
  const running = startProgram(program, args, env);
  return { status: await running.ended, output: running.output() };
}

/** Addresses on which a process listens, out of its own network tables. */
function listening(pid: number | undefined): string[] {
  const inodes = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        // Closed since the directory was read.
        return [];
      }
    }),
  );
  return ["tcp", "tcp6"].flatMap((table) =>
    readFileSync(`/proc/${pid}/net/${table}`, "utf8")
      .split("\n")
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[3] === "0A" && inodes.has(fields[9] ?? ""))
      .map((fields) => fields[1] ?? ""),
  );
}

/** What Node itself would do because of each variable: end, write a file, or say something. */
const variables: Readonly<Record<string, (directory: string) => string>> = {
  NODE_OPTIONS: (directory) => `--require ${directory}/missing.js`,
  NODE_CHANNEL_FD: () => "not a number",
  NODE_UNIQUE_ID: () => "1",
  NODE_V8_COVERAGE: (directory) => `${directory}/coverage`,
  NODE_COMPILE_CACHE: (directory) => `${directory}/cache`,
  NODE_REDIRECT_WARNINGS: (directory) => `${directory}/warnings`,
  NODE_PENDING_DEPRECATION: () => "1",
  NODE_DEBUG: () => "*",
  NODE_DEBUG_NATIVE: () => "async_wrap,mksnapshot,sea",
  NODE_EXTRA_CA_CERTS: (directory) => `${directory}/missing.pem`,
  NODE_ICU_DATA: (directory) => `${directory}/missing`,
  NODE_PATH: (directory) => directory,
  NODE_REPL_EXTERNAL_MODULE: (directory) => `${directory}/missing.js`,
  NODE_USE_ENV_PROXY: () => "1",
  NODE_USE_SYSTEM_CA: () => "1",
  NODE_TEST_CONTEXT: () => "child-v8",
  NODE_OF_A_VERSION_TO_COME: () => "1",
};

test("no NODE_* variable changes a program's output or makes it write a file", async () => {
  for (const program of programs) {
    const { status, output } = await outputOf(program, ["-h"], {});
    for (const [name, value] of Object.entries(variables)) {
      const directory = mkdtempSync(path.join(scratch, "one-"));
      const told = await outputOf(program, ["-h"], { [name]: value(directory) });
      assert.equal(told, { status, output }, `${program} with ${name}`);
      assert.equal(readdirSync(directory), [], `${program} with ${name}`);
    }
  }
});

test("the variables are dropped at any position in the environment, and all others stay", async () => {
  const env = { NODE_: "1", NODE: "2", NODEX_A: "3", KUMA_NODE_A: "4", A: "5", NODE_OPTIONS: "--bad-option" };
  const running = startProgram("kuma-cp", ["config", "-o", "yaml"], {
    ...env,
    KUMA_GENERAL_ADVERTISED_HOSTNAME: "here",
  });
  assert.is(await running.ended, 0);
  assert.match(running.output(), "advertisedHostname: here");
});

test("NODE_OPTIONS=--inspect opens no debugger", async () => {
  const port = await freePort();
  const cp = startProgram("kuma-cp", ["run"], { ...anyPorts, NODE_OPTIONS: `--inspect=127.0.0.1:${port}` });
  try {
    await eventually("the control plane is ready", () => cp.output().includes("Next, in another terminal"));
    const hex = port.toString(16).toUpperCase().padStart(4, "0");
    assert.equal(
      listening(cp.child.pid).filter((address) => address.endsWith(`:${hex}`)),
      [],
    );
    assert.not.match(cp.output(), "Debugger listening");
  } finally {
    await cp.kill();
  }
});

/** An https server that knows nothing, with a certificate of its own. */
async function stranger(pair: ServerCertificate) {
  const server = createServer({ cert: pair.cert, key: pair.key }, (_request, response) => {
    response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `https://localhost:${port}`, close: () => new Promise((resolve) => server.close(resolve)) };
}

test("an untrusted control plane stays untrusted with NODE_TLS_REJECT_UNAUTHORIZED=0 and NODE_EXTRA_CA_CERTS", async () => {
  const pair = await createServerCertificate({ commonName: "stranger", hosts: ["localhost"], now: new Date() });
  const trusted = path.join(scratch, "trusted.pem");
  writeFileSync(trusted, pair.cert);
  const server = await stranger(pair);
  try {
    const ask = (env: Readonly<Record<string, string>>) =>
      outputOf("kuma-dp", ["run", "--name=a", `--cp-address=${server.url}`, "--binary-path=/bin/true"], env);
    const settings = { TMPDIR: scratch };
    for (const env of [{}, { NODE_TLS_REJECT_UNAUTHORIZED: "0" }, { NODE_EXTRA_CA_CERTS: trusted }]) {
      const { status, output } = await ask({ ...settings, ...env });
      assert.is(status, 1, output);
      assert.match(output, /the certificate of https:\/\/localhost:\d+ is not trusted/, JSON.stringify(env));
      assert.not.match(output, "NODE_TLS_REJECT_UNAUTHORIZED");
    }
    // The test would pass as well if nothing were ever trusted.
    const { output } = await ask({ ...settings, KUMA_CONTROL_PLANE_CA_CERT_FILE: trusted });
    assert.match(output, "no control plane answers");
  } finally {
    await server.close();
  }
});

/** Starts the program, which stays, and gives it back once it has said `ready`. */
async function started(program: string, args: readonly string[], env: Record<string, string>, ready: string) {
  const running = startProgram(program, args, env);
  await eventually(`${program} runs`, () => running.output().includes(ready));
  return running;
}

test("SIGUSR1 neither ends a program nor opens Node's debugger", async () => {
  const all: Running[] = [];
  try {
    const level = ["--log-level", "info"];
    all.push(await started("kuma-cp", ["run", ...level], anyPorts, "Next, in another terminal"));
    all.push(await started("kuma-tcp-echo", ["-port", "0"], {}, "listening on port"));
    // Nobody answers there: it waits.
    const address = `--cp-address=http://127.0.0.1:${await freePort()}`;
    const binary = "--binary-path=/bin/true";
    const dpArgs = ["run", "--name=a", address, binary, ...level];
    all.push(await started("kuma-dp", dpArgs, { TMPDIR: scratch }, "waiting for the control plane"));
    for (const { child } of all) {
      for (let count = 0; count < 3; count++) child.kill("SIGUSR1");
    }
    await eventually("a word", () =>
      all[0]?.output().includes("there is no log file to reopen: the log goes to standard error"),
    );
    for (const running of all) {
      assert.is(running.child.exitCode, null);
      assert.is(await running.stop(), 0, running.output());
      // Node announces its debugger, and a failure to open it.
      assert.not.match(running.output(), /[Dd]ebugger|inspector/);
    }
  } finally {
    for (const running of all) await running.kill();
  }
});

test("a program that gets SIGUSR1 during startup continues, without a debugger", async () => {
  const blocked = `/proc/PID/status`;
  for (let round = 0; round < 5; round++) {
    const running = startProgram("kuma-tcp-echo", ["-port", "0"]);
    const { pid } = running.child;
    // Before Node has begun, the system's own default is in force, and ends any program.
    await eventually("Node has begun", () =>
      /^SigCgt:\t.*[2367abef]..$/m.test(readFileSync(blocked.replace("PID", String(pid)), "utf8")),
    );
    running.child.kill("SIGUSR1");
    await eventually("it listens", () => running.output().includes("listening on port"));
    assert.is(listening(pid).length, 1);
    assert.is(await running.stop(), 0);
  }
});

test.run();
