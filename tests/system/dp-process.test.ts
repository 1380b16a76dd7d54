import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import { freePort } from "../support/ports.js";
import { suite } from "../support/suite.js";
import {
  alive,
  configDirs,
  envoyBinary,
  envoyOf,
  onlyEnvoy,
  onStage,
  type Run,
  type Stage,
  staticBootstrap,
} from "./dp-stage.js";

const test = suite("kuma-dp run", { needs: "envoy" });
const asRoot = suite("kuma-dp of root and its config dir", { needs: ["envoy", "root"] });

/** A kuma-dp whose Envoy serves on `port`, in front of an echoing application. */
async function serving(stage: Stage, args: string[] = [], env: Record<string, string> = {}) {
  const port = await freePort();
  const upstream = await stage.echo();
  const cp = await stage.controlPlane(() => ({ status: 200, body: staticBootstrap(port, upstream) }));
  const command = ["run", `--cp-address=${cp.url}`, `--binary-path=${envoyBinary}`, ...args];
  const start = () => stage.start("kuma-dp", command, { KUMA_DATAPLANE_NAME: "a", ...env });
  const kumaDp = start();
  await accepts(stage, port, kumaDp);
  return { kumaDp, port, cp, start };
}

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** What looks like a token of a control plane; only that could tell that its signature is none. */
const token = (name: string, mesh = "default", more: object = {}) =>
  `${encode({ alg: "RS256", typ: "JWT" })}.${encode({ Name: name, Mesh: mesh, ...more })}.c2lnbmF0dXJl`;

async function accepts(stage: Stage, port: number, kumaDp: Run): Promise<void> {
  let over = false;
  kumaDp.ended.then(() => {
    over = true;
  });
  await eventually(`a listener on ${port}`, async () => {
    if (over) throw new Error(`kuma-dp has ended: ${kumaDp.output()}`);
    return stage.connect(port).then(
      ({ socket }) => {
        socket.destroy();
        return true;
      },
      () => false,
    );
  });
}

async function refused(stage: Stage, port: number): Promise<void> {
  await eventually(`port ${port} to be closed`, () =>
    stage.connect(port).then(
      ({ socket }) => {
        socket.destroy();
        return false;
      },
      () => true,
    ),
  );
}

test("without a name it refuses to start before any request", () =>
  onStage(async (stage) => {
    const cp = await stage.controlPlane(() => ({ status: 500, body: "" }));
    const kumaDp = stage.start("kuma-dp", ["run", `--cp-address=${cp.url}`]);
    assert.is((await kumaDp.ended).code, 1);
    assert.match(kumaDp.output(), "Invalid configuration: --name must not be empty");
    assert.is(cp.requests.length, 0);
  }));

test("a token file without a token for the dataplane is rejected with the reason before any request", () =>
  onStage(async (stage) => {
    const cp = await stage.controlPlane(() => ({ status: 500, body: "" }));
    const file = path.join(stage.temporary, "dataplane-token");
    const refusal = async (given = file) => {
      const args = ["run", "--name=a", `--cp-address=${cp.url}`, `--dataplane-token-file=${given}`];
      const kumaDp = stage.start("kuma-dp", args);
      assert.is((await kumaDp.ended).code, 1);
      assert.match(kumaDp.output(), "kumactl generate dataplane-token --name=a --mesh=default");
      return kumaDp.output();
    };
    assert.match(await refusal(), `could not read file ${file}`);
    assert.match(await refusal(stage.temporary), `could not read file ${stage.temporary}: it is a directory`);
    for (const [content, reason] of [
      ["\n", `token under file ${file} is empty`],
      ["let me in", `--dataplane-token-file ${file}: the file holds no dataplane token: it is no JWT`],
      [token("b"), 'the token is for dataplane "b" in mesh "default", and not for "a" in mesh "default"'],
      [token("a", "m"), 'the token is for dataplane "a" in mesh "m"'],
      [token("a", "default", { exp: 1_600_000_000 }), "the token expired at 2020-09-13T12:26:40.000Z"],
    ] as const) {
      writeFileSync(file, content);
      const output = await refusal();
      assert.ok(output.includes(reason), output);
    }
    assert.is(cp.requests.length, 0);
  }));

test("an unknown dataplane ends it with a hint, and nothing is left behind", () =>
  onStage(async (stage) => {
    const body = JSON.stringify({ title: "Could not find a Dataplane", details: "Not found" });
    const cp = await stage.controlPlane(() => ({ status: 404, body }));
    const kumaDp = stage.start("kuma-dp", [
      "run",
      "--name=a",
      `--cp-address=${cp.url}`,
      `--binary-path=${envoyBinary}`,
    ]);
    assert.is((await kumaDp.ended).code, 1);
    assert.match(kumaDp.output(), "status: 404. Did you first apply a Dataplane resource?");
    assert.is(cp.requests.length, 1);
    assert.equal(readdirSync(stage.temporary), []);
  }));

test("a configured Envoy that can't be executed is an error at once, even with one beside kuma-dp", () =>
  onStage(async (stage) => {
    const cp = await stage.controlPlane(() => ({ status: 500, body: "" }));
    const plain = path.join(stage.temporary, "plain");
    writeFileSync(plain, "text", { mode: 0o644 });
    const missing = path.join(stage.temporary, "missing");
    const arguments_ = (binary: string) => [
      ["run", "--name=a", `--cp-address=${cp.url}`, `--binary-path=${binary}`],
      {},
    ];
    const variable = (binary: string) => [
      ["run", "--name=a", `--cp-address=${cp.url}`],
      { KUMA_DATAPLANE_RUNTIME_BINARY_PATH: binary },
    ];
    for (const [how, binary, reason] of [
      [arguments_, missing, `--binary-path ${missing} is not an Envoy: ${missing} does not exist`],
      [variable, missing, `${missing} does not exist`],
      [arguments_, "./missing", `--binary-path ./missing is not an Envoy: ${missing} does not exist`],
      [arguments_, stage.temporary, `${stage.temporary} is a directory`],
      [arguments_, plain, `${plain} can't be executed by this user`],
      [arguments_, "no-such-envoy", 'could not find an executable "no-such-envoy"; set --binary-path'],
    ] as const) {
      const [args, env] = how(binary) as [string[], Record<string, string>];
      const kumaDp = stage.start("kuma-dp", args, env);
      assert.is((await kumaDp.ended).code, 1, binary);
      assert.ok(kumaDp.output().includes(reason), kumaDp.output());
    }
    assert.is(cp.requests.length, 0);
  }));

test("it waits for a control plane that is not running yet, and starts once it is", () =>
  onStage(async (stage) => {
    const [cpPort, port] = [await freePort(), await freePort()];
    const args = ["run", "--name=a", `--cp-address=http://127.0.0.1:${cpPort}`, `--binary-path=${envoyBinary}`];
    const kumaDp = stage.start("kuma-dp", args);
    await eventually("a word about waiting", () => kumaDp.output().includes("Waiting for the control plane"));
    const upstream = await stage.echo();
    await stage.controlPlane(() => ({ status: 200, body: staticBootstrap(port, upstream) }), cpPort);
    await accepts(stage, port, kumaDp);
    kumaDp.signal("SIGTERM");
    assert.is((await kumaDp.ended).code, 0);
  }));

test("a signal while it waits ends it", () =>
  onStage(async (stage) => {
    const cp = await stage.controlPlane(() => ({ status: 503, body: "" }));
    const env = { KUMA_CONTROL_PLANE_RETRY_BACKOFF: "1h" };
    const kumaDp = stage.start(
      "kuma-dp",
      ["run", "--name=a", `--cp-address=${cp.url}`, `--binary-path=${envoyBinary}`],
      env,
    );
    await eventually("a word about waiting", () => kumaDp.output().includes("Waiting for the control plane"));
    kumaDp.signal("SIGTERM");
    assert.equal(await kumaDp.ended, { code: 0, signal: null });
    assert.equal(readdirSync(stage.temporary), []);
  }));

test("without a token it warns, names both the command and the flag, and serves", () =>
  onStage(async (stage) => {
    const { kumaDp, port, cp } = await serving(stage);
    assert.match(kumaDp.output(), /kumactl generate dataplane-token.*--dataplane-token-file/);
    const logDirectories = ["/tmp"];
    assert.equal(JSON.parse(cp.requests[0]?.body ?? ""), { mesh: "default", name: "a", adminPort: 0, logDirectories });
    assert.is(await (await stage.connect(port)).say("hello"), "hello");
  }));

test("its files are private, its admin interface is a Unix socket", () =>
  onStage(async (stage) => {
    await serving(stage);
    const { directory } = await onlyEnvoy(stage);
    const mode = (name: string) => statSync(path.join(directory, name)).mode & 0o777;
    assert.is(mode("."), 0o700);
    assert.is(mode("bootstrap.yaml"), 0o600);
    assert.is(mode("envoy.pid"), 0o600);
    assert.is(mode("admin.sock"), 0o600);
  }));

test("the token is copied without white space, sent as a relative path, and follows its source", () =>
  onStage(async (stage) => {
    const source = path.join(stage.temporary, "source");
    const [first, second] = [token("a"), token("a", "default", { exp: 4_000_000_000 })];
    writeFileSync(source, `${first}\n`);
    const { cp, kumaDp } = await serving(stage, ["--dataplane-token-file=source"]);
    const { directory } = await onlyEnvoy(stage);
    assert.is(JSON.parse(cp.requests[0]?.body ?? "").dataplaneTokenPath, "token");
    const copy = path.join(directory, "token");
    assert.is(readFileSync(copy, "utf8"), first);
    assert.is(statSync(copy).mode & 0o777, 0o600);
    writeFileSync(source, `${second}\n\n`);
    await eventually("the copy to follow", () => readFileSync(copy, "utf8") === second);
    assert.not.match(kumaDp.output(), "was not renewed");
    writeFileSync(source, "garbage");
    await eventually("it to be said", () =>
      /Warning: the dataplane token was not renewed: .* it is no JWT; .*Envoy keeps its current token/.test(
        kumaDp.output(),
      ),
    );
    rmSync(source);
    await eventually("it to be said", () => /was not renewed: could not read file/.test(kumaDp.output()));
    assert.is(readFileSync(copy, "utf8"), second);
  }));

test("SIGTERM lets open connections finish, then Envoy exits and nothing is left", () =>
  onStage(async (stage) => {
    const health = await freePort();
    const { kumaDp, port } = await serving(stage, [`--health-port=${health}`], { KUMA_DATAPLANE_DRAIN_TIME: "10m" });
    const envoy = await onlyEnvoy(stage);
    const status = async (page: string) => (await fetch(`http://127.0.0.1:${health}/${page}`)).status;
    await eventually("readiness", async () => (await status("ready")) === 200);
    const talk = await stage.connect(port);
    assert.is(await talk.say("before"), "before");
    kumaDp.signal("SIGTERM");
    await eventually("the drain to be seen at /ready", async () => (await status("ready")) === 503);
    assert.is(await status("healthy"), 200);
    assert.is(await talk.say("while draining"), "while draining");
    talk.socket.end();
    assert.equal(await kumaDp.ended, { code: 0, signal: null });
    assert.not(alive(envoy.pid));
    assert.equal(readdirSync(stage.temporary), []);
    await refused(stage, port);
  }));

test("a connection that never ends is closed when the drain time is over", () =>
  onStage(async (stage) => {
    const { kumaDp, port } = await serving(stage, [], { KUMA_DATAPLANE_DRAIN_TIME: "1s" });
    const envoy = await onlyEnvoy(stage);
    const talk = await stage.connect(port);
    assert.is(await talk.say("hello"), "hello");
    kumaDp.signal("SIGINT");
    await talk.closed;
    assert.equal(await kumaDp.ended, { code: 0, signal: null });
    assert.not(alive(envoy.pid));
  }));

test("a second signal ends Envoy at once, exit code 1", () =>
  onStage(async (stage) => {
    const health = await freePort();
    const { kumaDp, port } = await serving(stage, [`--health-port=${health}`], { KUMA_DATAPLANE_DRAIN_TIME: "10m" });
    const envoy = await onlyEnvoy(stage);
    const talk = await stage.connect(port);
    await talk.say("hello");
    kumaDp.signal("SIGTERM");
    const ready = async () => (await fetch(`http://127.0.0.1:${health}/ready`)).status;
    await eventually("the drain", async () => (await ready()) === 503);
    kumaDp.signal("SIGTERM");
    assert.equal(await kumaDp.ended, { code: 1, signal: null });
    assert.not(alive(envoy.pid));
    assert.equal(readdirSync(stage.temporary), []);
  }));

test("an Envoy that is killed ends kuma-dp with an error", () =>
  onStage(async (stage) => {
    const { kumaDp } = await serving(stage);
    const envoy = await onlyEnvoy(stage);
    process.kill(envoy.pid, "SIGKILL");
    assert.is((await kumaDp.ended).code, 1);
    assert.match(kumaDp.output(), "Envoy terminated with an error: killed by SIGKILL");
    assert.equal(readdirSync(stage.temporary), []);
  }));

test("an Envoy that quits by its admin interface ends kuma-dp successfully", () =>
  onStage(async (stage) => {
    const { kumaDp } = await serving(stage);
    const envoy = await onlyEnvoy(stage);
    process.kill(envoy.pid, "SIGTERM");
    assert.equal(await kumaDp.ended, { code: 0, signal: null });
  }));

test("a bootstrap that Envoy rejects ends kuma-dp with an error, after Envoy's own message", () =>
  onStage(async (stage) => {
    const cp = await stage.controlPlane(() => ({ status: 200, body: "nonsense: true\n" }));
    const kumaDp = stage.start("kuma-dp", [
      "run",
      "--name=a",
      `--cp-address=${cp.url}`,
      `--binary-path=${envoyBinary}`,
    ]);
    assert.is((await kumaDp.ended).code, 1);
    assert.match(kumaDp.output(), /nonsense[\s\S]*Envoy terminated with an error: exit status 1/);
    assert.equal(readdirSync(stage.temporary), []);
  }));

test("a bootstrap that is not a mapping starts no Envoy", () =>
  onStage(async (stage) => {
    const cp = await stage.controlPlane(() => ({ status: 200, body: "<html>login</html>\n" }));
    const kumaDp = stage.start("kuma-dp", [
      "run",
      "--name=a",
      `--cp-address=${cp.url}`,
      `--binary-path=${envoyBinary}`,
    ]);
    assert.is((await kumaDp.ended).code, 1);
    assert.match(kumaDp.output(), "not a YAML mapping");
  }));

test("an Envoy for a newer C library is reported as that", () =>
  onStage(async (stage) => {
    const binary = path.join(stage.temporary, "old-machine-envoy");
    writeFileSync(binary, '#!/bin/sh\necho "envoy: libc.so.6: version \\`GLIBC_2.31\' not found" >&2\nexit 1\n');
    chmodSync(binary, 0o755);
    const cp = await stage.controlPlane(() => ({ status: 200, body: "node: {}\n" }));
    const kumaDp = stage.start("kuma-dp", ["run", "--name=a", `--cp-address=${cp.url}`, `--binary-path=${binary}`]);
    assert.is((await kumaDp.ended).code, 1);
    assert.match(kumaDp.output(), /Envoy terminated with an error: .*glibc 2\.31/);
  }));

test("after a SIGKILL of kuma-dp the next start ends the orphaned Envoy and takes its ports", () =>
  onStage(async (stage) => {
    const { kumaDp, port, start } = await serving(stage);
    const first = await onlyEnvoy(stage);
    stage.holds(first.pid);
    kumaDp.signal("SIGKILL");
    await kumaDp.ended;
    assert.ok(alive(first.pid), "the orphan serves on until its successor comes");
    const again = start();
    const second = await eventually("a second Envoy", async () => {
      const [directory] = configDirs(stage.temporary).filter((name) => name !== first.directory);
      if (directory === undefined) throw new Error("no second config dir yet");
      return { directory, pid: await envoyOf(directory) };
    });
    assert.not(alive(first.pid));
    assert.equal(configDirs(stage.temporary), [second.directory]);
    await accepts(stage, port, again);
    const talk = await stage.connect(port);
    assert.is(await talk.say("hello"), "hello");
    talk.socket.end();
    again.signal("SIGTERM");
    assert.is((await again.ended).code, 0);
    assert.equal(readdirSync(stage.temporary), []);
  }));

test("two dataplanes run side by side, and ending one leaves the other alone", () =>
  onStage(async (stage) => {
    const one = await serving(stage);
    const two = await serving(stage, ["--name=b"]);
    assert.is(configDirs(stage.temporary).length, 2);
    one.kumaDp.signal("SIGTERM");
    assert.is((await one.kumaDp.ended).code, 0);
    assert.is(await (await stage.connect(two.port)).say("still here"), "still here");
    assert.is(configDirs(stage.temporary).length, 1);
  }));

test("a config dir that the user names is created, kept, and cleaned of what a crash left", () =>
  onStage(async (stage) => {
    // Longer than a Unix socket's path may be.
    const directory = path.join(stage.temporary, "deep", "x".repeat(120));
    const { kumaDp, port, start } = await serving(stage, [`--config-dir=${directory}`]);
    const first = await envoyOf(directory);
    stage.holds(first);
    kumaDp.signal("SIGKILL");
    await kumaDp.ended;
    writeFileSync(path.join(directory, "mine.txt"), "keep me");
    const again = start();
    await eventually("a second Envoy", async () => (await envoyOf(directory)) !== first);
    assert.not(alive(first));
    await accepts(stage, port, again);
    const rival = start();
    assert.is((await rival.ended).code, 1);
    assert.match(rival.output(), `in use by kuma-dp with process id ${again.pid}`);
    again.signal("SIGTERM");
    assert.is((await again.ended).code, 0);
    assert.equal(readdirSync(directory).sort(), ["bootstrap.yaml", "mine.txt"]);
    assert.is(statSync(directory).mode & 0o777, 0o755);
  }));

test("Envoy's environment is what kuma-dp chose, without its secrets", () =>
  onStage(async (stage) => {
    const secrets = { KUMA_STORE_POSTGRES_PASSWORD: "hunter2", AWS_SECRET_ACCESS_KEY: "hunter2", HOME: "/root" };
    await serving(stage, [], { ...secrets, TZ: "Europe/Berlin", NODE_OPTIONS: "--no-warnings" });
    const { pid } = await onlyEnvoy(stage);
    const names = readFileSync(`/proc/${pid}/environ`, "utf8")
      .split("\0")
      .filter((entry) => entry !== "")
      .map((entry) => entry.split("=", 1)[0] ?? "");
    const known = ["LD_LIBRARY_PATH", "PATH", "TZ", "TZDIR"];
    assert.equal(
      names.filter((name) => !known.includes(name)),
      [],
    );
    assert.ok(names.includes("TZ") && names.includes("PATH"));
  }));

asRoot("a config dir of another user is refused before anything is asked or written", () =>
  onStage(async (stage) => {
    const cp = await stage.controlPlane(() => ({ status: 200, body: "{}" }));
    const directory = path.join(stage.temporary, "theirs");
    const victim = path.join(stage.temporary, "victim");
    writeFileSync(victim, "untouched");
    mkdirSync(directory);
    symlinkSync(victim, path.join(directory, ".envoy.pid.new"));
    chownSync(directory, 65_534, 65_534);
    const command = ["run", "--name=a", `--cp-address=${cp.url}`, `--binary-path=${envoyBinary}`];
    const kumaDp = stage.start("kuma-dp", [...command, `--config-dir=${directory}`]);
    assert.equal(await kumaDp.ended, { code: 1, signal: null });
    assert.match(
      kumaDp.output(),
      `could not use --config-dir ${directory}: it is a directory that belongs to user 65534`,
    );
    assert.equal([cp.requests.length, readdirSync(directory).length], [0, 1]);
    assert.is(readFileSync(victim, "utf8"), "untouched");
  }),
);

test.run();
asRoot.run();
