import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import { bin } from "../support/executable.js";
import { suite } from "../support/suite.js";

const test = suite("two machines, a control plane with its defaults on one of them", {
  needs: ["root", "envoy", "ip"],
});

const temporary = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-two-machines-"));
const file = (name: string) => path.join(temporary, name);

interface Program {
  readonly output: () => string;
  end(): Promise<void>;
}

/** A network of its own on this machine: the documented ports are free there, and "localhost" is another one's. */
class Host {
  readonly #namespace: string;
  readonly #programs: Program[] = [];

  constructor(
    name: string,
    readonly address: string,
  ) {
    this.#namespace = `kuma-${process.pid}-${name}`;
    ip("netns", "add", this.#namespace);
    ip("-n", this.#namespace, "link", "set", "lo", "up");
  }

  #words(words: readonly string[]): readonly string[] {
    return ["netns", "exec", this.#namespace, ...words];
  }

  get #environment() {
    const kept = Object.entries(process.env).filter(([name]) => !name.startsWith("KUMA_"));
    return { ...Object.fromEntries(kept), HOME: temporary };
  }

  attach(device: string): void {
    ip("link", "set", device, "netns", this.#namespace);
    ip("-n", this.#namespace, "address", "add", `${this.address}/24`, "dev", device);
    ip("-n", this.#namespace, "address", "add", `fd77::${this.address.split(".").at(-1)}/64`, "nodad", "dev", device);
    ip("-n", this.#namespace, "link", "set", device, "up");
  }

  run(input: string, ...words: readonly string[]): { readonly status: number | null; readonly output: string } {
    const options = { input, encoding: "utf8", env: this.#environment, timeout: 60_000 } as const;
    const { status, stdout, stderr } = spawnSync("ip", this.#words(words), options);
    return { status, output: stdout + stderr };
  }

  start(program: string, ...args: readonly string[]): Program {
    const words = this.#words([path.join(bin, program), ...args]);
    const child = spawn("ip", words, { stdio: ["ignore", "pipe", "pipe"], env: this.#environment });
    const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
    let text = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
    }
    const running = {
      output: () => text,
      end: () => {
        child.kill("SIGTERM");
        return ended;
      },
    };
    this.#programs.push(running);
    return running;
  }

  async end(): Promise<void> {
    for (const program of this.#programs.splice(0).reverse()) await program.end();
    ip("netns", "delete", this.#namespace);
  }
}

function ip(...args: readonly string[]): void {
  const { status, stderr, error } = spawnSync("ip", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`ip ${args.join(" ")}: ${error?.message ?? stderr}`);
}

const hosts: Host[] = [];
const kumactl = path.join(bin, "kumactl");

/** Connects, says something and prints what comes back within ten seconds. */
const client = `
const socket = require("node:net").connect(Number(process.argv[2]), process.argv[1], () => socket.write("hello\\n"));
socket.setTimeout(10_000, () => socket.destroy());
socket.on("error", () => {});
socket.on("data", (data) => { process.stdout.write(data); socket.destroy(); });
`;
const say = (from: Host, address: string, port: number) =>
  from.run("", process.execPath, "-e", client, address, String(port)).output;

function must(from: Host, input: string, ...args: readonly string[]): string {
  const { status, output } = from.run(input, kumactl, ...args);
  assert.is(status, 0, `kumactl ${args.join(" ")}: ${output}`);
  return output;
}

function dataplane(name: string, host: Host, service: string, outbound = ""): string {
  return `type: Dataplane
mesh: default
name: ${name}
networking:
  inbound:
  - interface: ${host.address}:9000:6379
    tags:
      service: ${service}
${outbound}`;
}

test.after(async () => {
  for (const host of hosts) await host.end();
  fs.rmSync(temporary, { recursive: true });
});

test("a dataplane on the other machine gets its configuration and certificates, and traffic between both is encrypted", async () => {
  const near = new Host("a", "10.77.0.1");
  hosts.push(near);
  const far = new Host("b", "10.77.0.2");
  hosts.push(far);
  const devices = [`kv${process.pid}a`, `kv${process.pid}b`] as const;
  ip("link", "add", devices[0], "type", "veth", "peer", "name", devices[1]);
  near.attach(devices[0]);
  far.attach(devices[1]);

  const controlPlane = near.start("kuma-cp", "run");
  await eventually("the control plane is ready", () => controlPlane.output().includes("The control plane is ready"));
  must(near, "type: Mesh\nname: default\nmtls:\n  enabled: true\n  ca:\n    builtin: {}\n", "apply", "-f", "-");
  const everybody = "sources:\n  - match:\n      service: '*'\n  destinations:\n  - match:\n      service: '*'\n";
  must(near, `type: TrafficPermission\nname: everybody\nmesh: default\nrules:\n- ${everybody}`, "apply", "-f", "-");
  must(near, dataplane("redis-1", far, "redis"), "apply", "-f", "-");
  const outbound = "  outbound:\n  - interface: :10000\n    service: redis\n";
  must(near, dataplane("web-1", near, "web", outbound), "apply", "-f", "-");
  for (const name of ["redis-1", "web-1"]) {
    const token = must(near, "", "generate", "dataplane-token", `--dataplane=${name}`);
    fs.writeFileSync(file(name), token, { mode: 0o600 });
  }

  far.start("kuma-tcp-echo", "-port", "6379");
  const sidecar = far.start(
    "kuma-dp",
    "run",
    "--name=redis-1",
    `--cp-address=http://${near.address}:5682`,
    `--dataplane-token-file=${file("redis-1")}`,
  );
  near.start("kuma-dp", "run", "--name=web-1", `--dataplane-token-file=${file("web-1")}`);

  await eventually("an answer from the other machine", () => {
    const answer = say(near, "127.0.0.1", 10_000);
    if (!answer.includes("hello")) throw new Error(`${answer}\n${sidecar.output()}\n${controlPlane.output()}`);
    return true;
  });
  // What comes is an alert of TLS.
  assert.not.match(say(near, far.address, 9000), "hello", "nothing passes in plaintext");
  // What streams tell is written once a second.
  await eventually("it is shown", () => /redis-1 .*Online/.test(must(near, "", "inspect", "dataplanes")));
  assert.match(
    controlPlane.output(),
    /KUMA_GENERAL_ADVERTISED_HOSTNAME is localhost: .*requested from, 10\.77\.0\.1 for the first one/,
  );
  assert.not.match(sidecar.output(), /can't be reached|localhost/);
});

test("a dataplane that connects by an IPv6 address gets that address for all servers", async () => {
  const [near, far] = hosts;
  if (near === undefined || far === undefined) throw new Error("there are no machines");
  const outbound = "  outbound:\n  - interface: :10001\n    service: redis\n";
  const own = dataplane("six-1", far, "six", outbound).replace("9000:6379", "9001:6380");
  must(near, own, "apply", "-f", "-");
  fs.writeFileSync(file("six-1"), must(near, "", "generate", "dataplane-token", "--dataplane=six-1"), { mode: 0o600 });
  const args = ["run", "--name=six-1", "--cp-address=http://[fd77::1]:5682"];
  const sidecar = far.start("kuma-dp", ...args, `--dataplane-token-file=${file("six-1")}`);
  await eventually("an answer through the sidecar", () => {
    if (!say(far, "127.0.0.1", 10_001).includes("hello")) throw new Error(sidecar.output());
    return true;
  });
});

test.run();
