import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import { bin } from "../support/executable.js";
import { greeting, type MeshStage, openMeshStage, reaches, type Sidecar } from "../support/mesh-stage.js";
import { freePort } from "../support/ports.js";
import { suite } from "../support/suite.js";
import { alive } from "./dp-stage.js";

const test = suite("kuma-dp is reloaded by SIGHUP", { needs: "envoy" });

let stage: MeshStage;
const ports = { web: 0, toBackend: 0, backend: 0, toWeb: 0, calm: 0, other: 0, broken: 0 };

test.before(async () => {
  for (const key of Object.keys(ports) as (keyof typeof ports)[]) ports[key] = await freePort();
  stage = await openMeshStage();
  assert.is(await stage.mtls(true), 200);
  assert.is(await stage.permit("all", ["*"], ["*"]), 201);
});
test.after(() => stage.close());

/** A directory with programs of its own, which a test may replace. */
function ownPrograms(name: string): string {
  const directory = path.join(stage.temporary, name);
  fs.mkdirSync(directory);
  fs.copyFileSync(path.join(bin, "kuma"), path.join(directory, "kuma"));
  fs.symlinkSync("kuma", path.join(directory, "kuma-dp"));
  fs.copyFileSync(path.join(bin, "envoy"), path.join(directory, "envoy"));
  return directory;
}

/** Puts another file in the place of a program that may run, as an upgrade does. */
function replaceProgram(directory: string, name: string, write: (file: string) => void): void {
  const fresh = path.join(directory, `${name}.new`);
  write(fresh);
  fs.renameSync(fresh, path.join(directory, name));
}

const inodeOf = (file: string) => fs.statSync(file).ino;

async function epochOf(sidecar: Sidecar): Promise<number | undefined> {
  const info: { state: string; command_line_options: { restart_epoch: number } } = JSON.parse(
    await sidecar.ask("/server_info"),
  );
  return info.state === "LIVE" ? info.command_line_options.restart_epoch : undefined;
}

interface Record {
  readonly kumaDp: { readonly pid: number };
  readonly envoy: { readonly pid: number };
  readonly predecessor?: { readonly pid: number };
}

/** What the kuma-dp with this process id has noted in its config dir. */
function recordOf(sidecar: Sidecar): Record {
  for (const name of fs.readdirSync(stage.temporary)) {
    const file = path.join(stage.temporary, name, "envoy.pid");
    if (!fs.existsSync(file)) continue;
    const record: Record = JSON.parse(fs.readFileSync(file, "utf8"));
    if (record.kumaDp.pid === sidecar.child.pid) return record;
  }
  throw new Error("there is no record");
}

const sharedMemory = () => fs.readdirSync("/dev/shm").filter((name) => name.startsWith("envoy_shared_memory_"));

/** Envoy's file of shared memory, once its base id is known. */
function sharedMemoryOf(sidecar: Sidecar): string {
  const directory = fs.readlinkSync(`/proc/${recordOf(sidecar).envoy.pid}/cwd`);
  const baseId = fs.readFileSync(path.join(directory, "hot-restart", "base-id"), "utf8").trim();
  return `envoy_shared_memory_${baseId}0`;
}

/** Opens a connection every few milliseconds, whatever became of those before, until it is stopped. */
function startStream(port: number, expected: string) {
  const failures: string[] = [];
  const open = new Set<Promise<void>>();
  let served = 0;
  const knock = async () => {
    const said = await greeting(port).catch((error: Error) => error.message);
    if (said === expected) served += 1;
    else failures.push(said);
  };
  const timer = setInterval(() => {
    // A machine that lags must not be buried.
    if (open.size >= 100) return;
    const one = knock().finally(() => open.delete(one));
    open.add(one);
  }, 5);
  return {
    failures,
    served: () => served,
    async stop() {
      clearInterval(timer);
      await Promise.all(open);
    },
  };
}

const hangUp = (sidecar: Sidecar) => sidecar.child.kill("SIGHUP");
const ofService = (port: number, app: number, service: string) => ({
  interface: `127.0.0.1:${port}:${app}`,
  tags: { service },
});

test("in ten reloads no connection to the service or from it fails, while programs are replaced and the control plane is away", async () => {
  const [web, backend] = [await stage.application("web"), await stage.application("backend")];
  await stage.apply("web-1", {
    inbound: [ofService(ports.web, web.port, "web")],
    outbound: [{ interface: `127.0.0.1:${ports.toBackend}`, service: "backend" }],
  });
  await stage.apply("backend-1", {
    inbound: [ofService(ports.backend, backend.port, "backend")],
    outbound: [{ interface: `127.0.0.1:${ports.toWeb}`, service: "web" }],
  });
  await stage.sidecar("backend-1");
  const directory = ownPrograms("ten");
  const healthPort = await freePort();
  const sidecar = await stage.sidecar("web-1", {
    from: directory,
    service: true,
    drainTime: "1s",
    env: { KUMA_DATAPLANE_HEALTH_PORT: String(healthPort) },
  });
  await reaches(ports.toWeb, "web");
  await reaches(ports.toBackend, "backend");
  const memory = sharedMemoryOf(sidecar);
  const streams = [startStream(ports.toWeb, "web"), startStream(ports.toBackend, "backend")];
  const pid = sidecar.child.pid ?? 0;
  const envoys = new Set<number>();
  try {
    for (let epoch = 1; epoch <= 10; epoch++) {
      envoys.add(recordOf(sidecar).envoy.pid);
      if (epoch === 4) {
        replaceProgram(directory, "kuma", (file) => fs.copyFileSync(path.join(bin, "kuma"), file));
        replaceProgram(directory, "envoy", (file) => fs.copyFileSync(path.join(bin, "envoy"), file));
      }
      if (epoch === 7) {
        stage.cp.child.kill("SIGSTOP");
        replaceProgram(directory, "kuma", (file) => fs.copyFileSync(path.join(bin, "kuma"), file));
      }
      hangUp(sidecar);
      if (epoch === 7) {
        const fresh = inodeOf(path.join(directory, "kuma"));
        await eventually("the new kuma-dp runs", () => inodeOf(`/proc/${pid}/exe`) === fresh);
        assert.is(await epochOf(sidecar), epoch - 1, "Envoy waits for the control plane");
        stage.cp.child.kill("SIGCONT");
      }
      await eventually(`Envoy ${epoch} serves`, async () => (await epochOf(sidecar)) === epoch, 60_000);
    }
    const { envoy } = await eventually("the tenth Envoy is alone", () => {
      const record = recordOf(sidecar);
      return record.predecessor === undefined ? record : undefined;
    });
    envoys.add(envoy.pid);
    assert.is(envoys.size, 11);
    assert.is(inodeOf(`/proc/${pid}/exe`), inodeOf(path.join(directory, "kuma")));
    assert.is(inodeOf(`/proc/${envoy.pid}/exe`), inodeOf(path.join(directory, "envoy")));
    assert.is((await fetch(`http://127.0.0.1:${healthPort}/ready`)).status, 200);
  } finally {
    stage.cp.child.kill("SIGCONT");
    for (const stream of streams) await stream.stop();
  }
  for (const { failures, served } of streams) {
    assert.equal(failures, []);
    assert.ok(served() > 100, `${served()} connections were served`);
  }
  assert.ok(sharedMemory().includes(memory));
  assert.is(await sidecar.stop(), 0);
  assert.not.ok(alive(pid));
  for (const one of envoys) assert.not.ok(alive(one), `Envoy ${one} is gone`);
  assert.not.ok(sharedMemory().includes(memory), "nothing is left in /dev/shm");
});

/** A connection through a sidecar that sends back what it gets. */
async function talk(port: number, name: string) {
  const socket = net.connect(port, "127.0.0.1");
  let received = "";
  let gone = false;
  socket.on("data", (chunk: Buffer) => {
    received += chunk.toString();
  });
  socket.on("error", () => socket.destroy());
  socket.on("close", () => {
    gone = true;
  });
  await eventually(`${name} greets`, () => received.startsWith(name));
  return {
    gone: () => gone,
    async says(line: string) {
      socket.write(line);
      await eventually(`${name} sends back ${line}`, () => received.endsWith(line));
    },
    end: () => socket.destroy(),
  };
}

test("open connections have the drain time, and two Envoys that a killed kuma-dp leaves are ended by the next one", async () => {
  const app = await stage.application("calm");
  await stage.mtls(false);
  await stage.apply("calm-1", { inbound: [ofService(ports.calm, app.port, "calm")] });
  const sidecar = await stage.sidecar("calm-1", { service: true, drainTime: "600s" });
  await reaches(ports.calm, "calm");
  const memory = sharedMemoryOf(sidecar);
  const open = await talk(ports.calm, "calm");
  hangUp(sidecar);
  const { envoy, predecessor } = await eventually("another Envoy serves", async () =>
    (await epochOf(sidecar)) === 1 ? recordOf(sidecar) : undefined,
  );
  await open.says("still here");
  assert.is(await greeting(ports.calm), "calm");
  // One more waits until the first Envoy is gone: a third would have it end at once.
  hangUp(sidecar);
  await open.says("and still");
  assert.ok(predecessor !== undefined && alive(predecessor.pid) && alive(envoy.pid));

  await sidecar.kill();
  assert.ok(alive(predecessor.pid) && alive(envoy.pid));
  const next = await stage.sidecar("calm-1", { service: true });
  await eventually("both are gone", () => !alive(predecessor.pid) && !alive(envoy.pid));
  await eventually("the connection is gone", open.gone);
  await reaches(ports.calm, "calm");
  await eventually("their shared memory is gone", () => !sharedMemory().includes(memory));
  open.end();
  await next.stop();
});

test("an Envoy with another hot restart version is started after the running one has stopped, and kuma-dp says why", async () => {
  const app = await stage.application("other");
  await stage.apply("other-1", { inbound: [ofService(ports.other, app.port, "other")] });
  const directory = ownPrograms("other");
  const sidecar = await stage.sidecar("other-1", { from: directory, service: true });
  await reaches(ports.other, "other");
  const before = recordOf(sidecar);
  const real = path.join(bin, "envoy");
  replaceProgram(directory, "envoy", (file) =>
    fs.writeFileSync(file, `#!/bin/sh\n[ "$1" = --hot-restart-version ] && echo 99.1 && exit\nexec ${real} "$@"\n`, {
      mode: 0o755,
    }),
  );
  hangUp(sidecar);
  await eventually("it says why", () =>
    /stopped and started again: the running Envoy has hot restart version [\d.]+, but .* has 99\.1/.test(
      sidecar.output(),
    ),
  );
  await eventually("another Envoy runs", () => recordOf(sidecar).envoy.pid !== before.envoy.pid);
  assert.not.ok(alive(before.envoy.pid));
  await reaches(ports.other, "other");
  assert.is(sidecar.child.exitCode, null, "by the same process");
  assert.is(await sidecar.stop(), 0);
});

test("a new executable that can't run changes nothing, and the next reload uses a fixed one", async () => {
  const app = await stage.application("broken");
  await stage.apply("broken-1", { inbound: [ofService(ports.broken, app.port, "broken")] });
  const directory = ownPrograms("broken");
  const sidecar = await stage.sidecar("broken-1", { from: directory, service: true });
  await reaches(ports.broken, "broken");
  const before = recordOf(sidecar);
  replaceProgram(directory, "kuma", (file) =>
    fs.writeFileSync(file, "#!/bin/sh\necho no such library >&2\nexit 127\n", { mode: 0o755 }),
  );
  hangUp(sidecar);
  await eventually("it says why", () => /was not reloaded: .*no such library/.test(sidecar.output()));
  assert.equal(recordOf(sidecar), before);
  assert.is(await greeting(ports.broken), "broken");
  replaceProgram(directory, "kuma", (file) => fs.copyFileSync(path.join(bin, "kuma"), file));
  hangUp(sidecar);
  await eventually("another Envoy serves", async () => (await epochOf(sidecar)) === 1);
  assert.is(await sidecar.stop(), 0);
});

test.run();
