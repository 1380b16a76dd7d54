import * as assert from "uvu/assert";
import { eventually } from "./eventually.js";
import type { Machine, Terminal } from "./machine.js";
import { shellBlocks } from "./readme.js";

const foreground = /^(kuma-(cp|dp) run.*|kuma-tcp-echo .*)\n$/m;

/** Does what a user of the README does on one machine, and keeps the terminals that this opens. */
class Walk {
  readonly #terminals: { readonly block: string; readonly terminal: Terminal }[] = [];

  constructor(readonly machine: Machine) {}

  /** Types a block that stays in the foreground into a terminal of its own. */
  open(block: string): Terminal {
    assert.match(block, foreground, "it stays in the foreground");
    const terminal = this.machine.terminal(block);
    this.#terminals.push({ block, terminal });
    return terminal;
  }

  /** Runs a block to its end, which has to be a good one. */
  does(block: string): string {
    const { status, stdout, stderr } = this.machine.run(block);
    assert.is(status, 0, stderr);
    return stdout;
  }

  async interrupt(program: string): Promise<void> {
    const those = this.#terminals.filter(({ block }) => block.includes(program));
    await Promise.all(those.map(({ terminal }) => terminal.interrupt()));
  }

  output(): string {
    return this.#terminals.map(({ terminal }) => terminal.output()).join("\n---\n");
  }
}

/** Whether a block that sends PING through a sidecar brings it back. */
const passes = ({ machine }: Walk, block: string) => machine.run(block, 5).stdout.startsWith("PING\n");

/** The quickstart, and the section on mutual TLS after it. */
async function firstMachine(walk: Walk): Promise<void> {
  const blocks = shellBlocks("Quickstart on bare metal").filter((block) => !block.includes("npm run build"));
  const last = blocks.pop() ?? "";
  for (const block of blocks) {
    const terminal = walk.open(block);
    if (block.includes("kuma-cp run")) {
      await eventually("the control plane is ready", () => terminal.output().includes("Next, in another terminal"));
    }
  }
  const works = () => {
    const { stdout } = walk.machine.run(last, 5);
    assert.match(stdout, /^PING\n/);
    for (const name of ["backend-1", "redis-1"]) assert.match(stdout, new RegExp(`\\b${name} .* Online `));
    return true;
  };
  await eventually("traffic goes through both sidecars", works);

  const [tokens = "", redis = "", backend = "", mesh = "", permission = ""] = shellBlocks("Mutual TLS");
  walk.does(tokens);
  await walk.interrupt("kuma-dp run");
  for (const block of [redis, backend]) walk.open(block);
  await eventually("traffic goes through both sidecars again", works);
  walk.does(mesh);
  await eventually("nothing passes without a permission", () => !passes(walk, last));
  walk.does(permission);
  await eventually("what is permitted passes", works);
}

async function told<T>(walks: readonly Walk[], work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${walks.map((walk) => walk.output()).join("\n===\n")}`);
  }
}

/** Follows the README's quickstart and its section on mutual TLS, word for word. */
export function walkReadme(machine: Machine): Promise<void> {
  const walk = new Walk(machine);
  return told([walk], () => firstMachine(walk));
}

/**
 * The same, and goes on with the section on a second machine. `copy` does what the README leaves to the user: it takes a
 * file of the first machine to the second one.
 */
export async function walkReadmeOnTwo(
  first: Machine,
  second: Machine,
  copy: (file: string) => void,
): Promise<{ readonly first: string; readonly second: string }> {
  const [near, far] = [new Walk(first), new Walk(second)];
  await told([near, far], async () => {
    await firstMachine(near);
    const [move = "", describe = "", sidecar = "", ping = "", inspect = ""] = shellBlocks("A second machine");
    near.does(move);
    near.does(describe);
    const [, token = ""] = /> (\S+-token)$/m.exec(describe) ?? [];
    copy(token);
    far.open(sidecar);
    await eventually("an answer comes from the other machine", () => passes(far, ping));
    await eventually("what runs on the first machine goes on", () => passes(near, ping));
    const online = () => {
      const table = near.does(inspect);
      for (const name of ["redis-1", "backend-1", "web-1"]) assert.match(table, new RegExp(`\\b${name} .* Online `));
      return true;
    };
    await eventually("all of them are shown", online);
  });
  return { first: near.output(), second: far.output() };
}
