import * as assert from "uvu/assert";
import { eventually } from "./eventually.js";
import type { Machine, Terminal } from "./machine.js";
import { shellBlocks } from "./readme.js";

const foreground = /^(kuma-(cp|dp) run.*|kuma-tcp-echo .*)\n$/m;

/** A machine on which the README's quickstart was followed. */
export interface Walk {
  /** The commands that stay in the foreground, each in its own terminal. */
  readonly terminals: { readonly block: string; readonly terminal: Terminal }[];
  open(block: string): Terminal;
  /**
   * Whether the quickstart's last commands succeed: traffic flows through both sidecars, which are online. Throws when
   * not.
   */
  passes(): boolean;
  /** The output of the same commands, whatever it is. */
  attempt(): string;
}

/** Runs an action on the machine; its terminals' output is added to a failure. */
export async function walking<T>({ terminals }: Pick<Walk, "terminals">, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    const outputs = terminals.map(({ terminal }) => terminal.output());
    throw new Error(`${(error as Error).message}\n${outputs.join("\n---\n")}`);
  }
}

/** Follows the quickstart: commands that stay in the foreground get their own terminal, the others are run to the end. */
export async function quickstart(machine: Machine): Promise<Walk> {
  const blocks = shellBlocks("Quickstart on bare metal").filter((block) => !block.includes("npm run build"));
  const last = blocks.pop() ?? "";
  const walk: Walk = {
    terminals: [],
    open(block) {
      const terminal = machine.terminal(block);
      walk.terminals.push({ block, terminal });
      return terminal;
    },
    passes() {
      const stdout = walk.attempt();
      assert.match(stdout, /^PING\n/);
      for (const name of ["backend-1", "redis-1"]) assert.match(stdout, new RegExp(`\\b${name} .* Online `));
      return true;
    },
    attempt: () => machine.run(last, 20).stdout,
  };
  await walking(walk, async () => {
    for (const block of blocks) {
      assert.match(block, foreground, "each block but the last stays in the foreground");
      const terminal = walk.open(block);
      if (block.includes("kuma-cp run")) {
        await eventually("the control plane is ready", () => terminal.output().includes("Next, in another terminal"));
      }
    }
    await eventually("traffic goes through both sidecars", walk.passes);
  });
  return walk;
}

/** Follows the section on mutual TLS: tokens, sidecars with tokens, mTLS, a permission. */
export async function mutualTls(machine: Machine, walk: Walk): Promise<void> {
  const [tokens = "", redis = "", backend = "", mesh = "", permission = ""] = shellBlocks("Mutual TLS");
  const runs = (script: string) => {
    const { status, stderr } = machine.run(script);
    assert.is(status, 0, stderr);
  };
  await walking(walk, async () => {
    runs(tokens);
    await Promise.all(
      walk.terminals.filter(({ block }) => block.includes("kuma-dp run")).map(({ terminal }) => terminal.interrupt()),
    );
    for (const block of [redis, backend]) {
      assert.match(block, foreground);
      walk.open(block);
    }
    await eventually("traffic goes through both sidecars again", walk.passes);
    runs(mesh);
    await eventually("nothing passes without a permission", () => !walk.attempt().includes("PING"));
    runs(permission);
    await eventually("what is permitted passes", walk.passes);
  });
}

/**
 * Follows the section on a second machine and returns that machine's terminal.
 * @param copy does what the README leaves to the user: copies a file from the first machine to the second
 */
export async function secondMachine(
  first: { readonly machine: Machine; readonly walk: Walk },
  second: Machine,
  copy: (file: string) => void,
): Promise<Terminal> {
  const [move = "", describe = "", sidecar = "", ping = "", inspect = ""] = shellBlocks("A second machine");
  const runs = (script: string) => {
    const { status, stdout, stderr } = first.machine.run(script);
    assert.is(status, 0, stderr);
    return stdout;
  };
  runs(move);
  runs(describe);
  const [, token = ""] = /> (\S+-token)$/m.exec(describe) ?? [];
  copy(token);
  assert.match(sidecar, foreground);
  const terminal = second.terminal(sidecar);
  const terminals = [...first.walk.terminals, { block: sidecar, terminal }];
  await walking({ terminals }, async () => {
    const answered = () => second.run(ping, 20).stdout === "PING\n";
    await eventually("an answer comes from the first machine", answered);
    await eventually("what runs there goes on", first.walk.passes);
    const online = () =>
      ["redis-1", "backend-1", "web-1"].every((name) => new RegExp(`\\b${name} .* Online `).test(runs(inspect)));
    await eventually("all of them are shown", online);
  });
  return terminal;
}
