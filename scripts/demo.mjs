// npm run demo [-- --once]: a control plane, two services with their sidecars, and traffic through both.
import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { ensureInstalled, root, script } from "./pinned-node.mjs";

const bin = path.join(root, "dist", "bin");
const once = process.argv.includes("--once");
/** Uses ports from this one on instead of the documented ones, for machines where those are in use. */
const portBase = Number(
  /^--port-base=(\d+)$/.exec(process.argv.find((word) => word.startsWith("--port-base")) ?? "")?.[1],
);
const children = [];
const work = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-demo-"));

function isFree(port, host) {
  return new Promise((resolve) => {
    const server = net.createServer().once("error", () => resolve(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

const given = new Set();

/** The documented port if it is free; otherwise another one, with a message. */
async function choosePort(what, documented, host = "127.0.0.1") {
  const wanted = Number.isNaN(portBase) ? documented : portBase + given.size;
  if (!given.has(wanted) && (await isFree(wanted, host))) {
    given.add(wanted);
    return wanted;
  }
  for (let port = 20000 + (wanted % 10000); ; port++) {
    if (given.has(port) || !(await isFree(port, host))) continue;
    given.add(port);
    console.log(`  port ${wanted} (${what}) is taken or not allowed here: using ${port}`);
    return port;
  }
}

/** Starts a program in its own process group, so that Ctrl-C reaches it only once, through us. */
function start(name, program, args, env = {}) {
  const log = path.join(work, `${name}.log`);
  const file = fs.openSync(log, "w");
  const clean = Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith("KUMA_")));
  const child = spawn(path.join(bin, program), args, {
    cwd: work,
    detached: true,
    stdio: ["ignore", file, file],
    env: { ...clean, ...env },
  });
  fs.closeSync(file);
  const entry = { name, log, child, ended: undefined, done: undefined };
  entry.done = new Promise((resolve) => {
    child.on("exit", (code, signal) => {
      entry.ended = `${name} ended with ${signal ?? `exit code ${code}`}`;
      resolve();
    });
    child.on("error", (error) => {
      entry.ended = `${name} could not be started: ${error.message}`;
      resolve();
    });
  });
  children.push(entry);
  return entry;
}

function tail(file) {
  return fs.readFileSync(file, "utf8").trimEnd().split("\n").slice(-8).join("\n    ");
}

/** Waits for a condition. When a program exits meanwhile, that is the better error. */
async function until(what, probe, deadlineMs = 30_000) {
  const deadline = performance.now() + deadlineMs;
  let last = "";
  while (performance.now() < deadline) {
    const dead = children.find((entry) => entry.ended !== undefined);
    if (dead !== undefined) throw new Error(`${dead.ended}; its last words:\n    ${tail(dead.log)}`);
    try {
      return await probe();
    } catch (error) {
      last = error.message;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${what}: not within ${deadlineMs / 1000} s (${last}); logs are in ${work}`);
}

function kumactl(args, input = "") {
  const config = path.join(work, "kumactl.yaml");
  const full = fs.existsSync(config) || args[0] === "config" ? ["--config-file", config, ...args] : args;
  if (!fs.existsSync(config)) fs.writeFileSync(config, "{}\n");
  const { status, stdout, stderr } = spawnSync(path.join(bin, "kumactl"), full, { input, encoding: "utf8", cwd: work });
  if (status !== 0) throw new Error(`kumactl ${args.join(" ")} failed: ${stderr.trim()}`);
  return stdout;
}

function echo(port, text) {
  return new Promise((resolve, reject) => {
    let received = "";
    const socket = net.connect(port, "127.0.0.1", () => socket.write(text));
    socket.setTimeout(5000, () => socket.destroy(new Error("no answer")));
    socket.on("data", (chunk) => {
      received += chunk;
      if (received.length >= text.length) socket.end();
    });
    socket.on("error", reject);
    socket.on("close", () => {
      if (received === text) resolve();
      else reject(new Error(`sent ${JSON.stringify(text)}, got ${JSON.stringify(received)}`));
    });
  });
}

const dataplanes = ({ redisIn, redisApp, backendIn, backendApp, backendOut }) => ({
  "redis-1": `type: Dataplane
mesh: default
name: redis-1
networking:
  inbound:
  - interface: 127.0.0.1:${redisIn}:${redisApp}
    tags:
      service: redis
      version: '1.0'
`,
  "backend-1": `type: Dataplane
mesh: default
name: backend-1
networking:
  inbound:
  - interface: 127.0.0.1:${backendIn}:${backendApp}
    tags:
      service: backend
  outbound:
  - interface: :${backendOut}
    service: redis
`,
});

const mesh = `type: Mesh
name: default
mtls:
  enabled: true
`;

const permission = `type: TrafficPermission
mesh: default
name: backend-to-redis
rules:
- sources:
  - match:
      service: backend
  destinations:
  - match:
      service: redis
`;

/** Opens a connection that should get no answer, and reports when it does. */
async function denied(port) {
  const answered = await echo(port, "PING\n").then(
    () => true,
    () => false,
  );
  if (answered) throw new Error("it was answered");
}

async function demo() {
  console.log("Choosing ports");
  const all = "0.0.0.0";
  const api = await choosePort("HTTP API", 5681, all);
  const bootstrap = await choosePort("bootstrap", 5682, all);
  const xds = await choosePort("xDS", 5678, all);
  const health = await choosePort("health", 5680, all);
  const sds = await choosePort("SDS", 5677, all);
  const tokens = await choosePort("dataplane tokens", 5679);
  const ports = {
    redisApp: await choosePort("redis service", 6379, all),
    redisIn: await choosePort("redis sidecar", 9000),
    backendApp: await choosePort("backend service", 80, all),
    backendIn: await choosePort("backend sidecar", 8000),
    backendOut: await choosePort("backend to redis", 10000),
  };

  console.log("Starting the control plane");
  start("kuma-cp", "kuma-cp", ["run"], {
    KUMA_API_SERVER_PORT: String(api),
    KUMA_BOOTSTRAP_SERVER_PORT: String(bootstrap),
    KUMA_XDS_SERVER_GRPC_PORT: String(xds),
    KUMA_XDS_SERVER_DIAGNOSTICS_PORT: String(health),
    KUMA_SDS_SERVER_GRPC_PORT: String(sds),
    KUMA_DATAPLANE_TOKEN_SERVER_LOCAL_PORT: String(tokens),
  });
  await until("the control plane becomes ready", async () => {
    const { status } = await fetch(`http://127.0.0.1:${health}/ready`);
    if (status !== 200) throw new Error(`/ready says ${status}`);
  });
  kumactl(["config", "control-planes", "add", "--name", "demo", "--address", `http://127.0.0.1:${api}`, "--overwrite"]);

  console.log("Starting the services redis and backend (kuma-tcp-echo)");
  start("redis", "kuma-tcp-echo", ["-port", String(ports.redisApp)]);
  start("backend", "kuma-tcp-echo", ["-port", String(ports.backendApp)]);

  console.log("Applying their Dataplanes and starting a kuma-dp beside each");
  for (const [name, document] of Object.entries(dataplanes(ports))) {
    kumactl(["apply", "-f", "-"], document);
    const token = path.join(work, `${name}.token`);
    fs.writeFileSync(token, kumactl(["generate", "dataplane-token", "--name", name]), { mode: 0o600 });
    start(`kuma-dp-${name}`, "kuma-dp", ["run", `--dataplane-token-file=${token}`], {
      KUMA_CONTROL_PLANE_BOOTSTRAP_SERVER_URL: `http://127.0.0.1:${bootstrap}`,
      KUMA_DATAPLANE_MESH: "default",
      KUMA_DATAPLANE_NAME: name,
    });
  }

  console.log("Sending traffic: backend -> its sidecar -> redis' sidecar -> redis");
  const requests = 10;
  await until("traffic flows", () => echo(ports.backendOut, "PING 0\n"));
  for (let index = 1; index < requests; index++) await echo(ports.backendOut, `PING ${index}\n`);
  const inspected = await until("both dataplanes are online", () => {
    const table = kumactl(["inspect", "dataplanes"]);
    if (table.split("Online").length !== 3) throw new Error("not both are online");
    return table;
  });

  console.log("Switching mTLS on: without a permission nothing passes");
  kumactl(["apply", "-f", "-"], mesh);
  // Checks the inbound as well as the path through both sidecars, because they switch independently.
  await until("plaintext is refused", () => denied(ports.redisIn));
  await until("backend is refused", () => denied(ports.backendOut));

  console.log("Allowing backend to reach redis: encrypted, and both sides have proved who they are");
  kumactl(["apply", "-f", "-"], permission);
  await until("traffic flows again", () => echo(ports.backendOut, "PING\n"));

  console.log(`
  WHAT                 WHERE
  control plane        API http://127.0.0.1:${api}, bootstrap ${bootstrap}, xDS ${xds}, health ${health},
                       SDS ${sds}, tokens ${tokens} on this machine only
  mTLS                 on; the TrafficPermission backend-to-redis lets backend pass
  redis                127.0.0.1:${ports.redisApp}, sidecar listens on 127.0.0.1:${ports.redisIn}
  backend              127.0.0.1:${ports.backendApp}, sidecar listens on 127.0.0.1:${ports.backendIn}
  backend to redis     127.0.0.1:${ports.backendOut}: ${requests} messages sent, ${requests} came back
  logs                 ${work}
`);
  console.log(inspected);
  if (once) return;
  console.log(`Try:  bash -c 'exec 3<>/dev/tcp/127.0.0.1/${ports.backendOut}; echo hello >&3; head -n 1 <&3'`);
  console.log(`      dist/bin/kumactl --config-file ${path.join(work, "kumactl.yaml")} inspect dataplanes`);
  console.log(
    `      dist/bin/kumactl --config-file ${path.join(work, "kumactl.yaml")} delete traffic-permission backend-to-redis`,
  );
  console.log("Ctrl-C ends the demo.");
  await Promise.race([interrupted, ...children.map((entry) => entry.done)]);
  const dead = children.find((entry) => entry.ended !== undefined);
  if (dead !== undefined) throw new Error(`${dead.ended}; its last words:\n    ${tail(dead.log)}`);
}

const interrupted = new Promise((resolve) => {
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, resolve);
});

/** Stops the sidecars first and the control plane last; a process that does not exit within ten seconds is killed. */
async function stop() {
  for (const { child, done } of [...children].reverse()) {
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), 10_000);
    await done;
    clearTimeout(timer);
  }
}

await script(async () => {
  ensureInstalled();
  if (spawnSync(process.execPath, ["build.mjs"], { cwd: root, stdio: "inherit" }).status !== 0) return 1;
  let kept = true;
  try {
    await Promise.race([demo(), once ? new Promise(() => {}) : interrupted]);
    kept = false;
  } finally {
    await stop();
    if (!kept) fs.rmSync(work, { recursive: true, force: true });
  }
  process.exit(0);
});
