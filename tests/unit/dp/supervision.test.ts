import * as assert from "uvu/assert";
import { type Event, type State, step } from "../../../src/dp/supervision.js";
import { type Child, supervise } from "../../../src/dp/supervisor.js";
import { suite } from "../../support/suite.js";

const test = suite("kuma-dp supervises one Envoy");

const signal: Event = { kind: "signal" };
const drained: Event = { kind: "drained" };
const timeOver: Event = { kind: "time-over" };
const exit = (code: number | null, by: string | null = null): Event => ({ kind: "exited", code, signal: by });

/** Runs events from `running`: the actions that they caused, and where they led. */
function play(...events: Event[]): { actions: string[]; state: State } {
  let state: State = { name: "running" };
  const actions: string[] = [];
  for (const event of events) {
    const next = step(state, event);
    state = next.state;
    if (next.action !== "none") actions.push(next.action);
  }
  return { actions, state };
}

const endings: [string, Event[], string[], State][] = [
  ["Envoy that ends well by itself is a clean end", [exit(0)], [], { name: "ended", outcome: { kind: "stopped" } }],
  [
    "Envoy that ends with a status is a failure with that status",
    [exit(7)],
    [],
    { name: "ended", outcome: { kind: "failed", reason: "exit status 7" } },
  ],
  [
    "Envoy that is killed is a failure with the signal",
    [exit(null, "SIGKILL")],
    [],
    { name: "ended", outcome: { kind: "failed", reason: "killed by SIGKILL" } },
  ],
  [
    "a signal drains, the last closed connection ends Envoy",
    [signal, drained, exit(0)],
    ["drain", "terminate"],
    { name: "ended", outcome: { kind: "stopped" } },
  ],
  [
    "connections that stay open end with the drain time",
    [signal, timeOver, exit(0)],
    ["drain", "terminate"],
    { name: "ended", outcome: { kind: "stopped" } },
  ],
  [
    "Envoy that ignores SIGTERM is killed after the margin, and that is still a clean end",
    [signal, drained, timeOver, exit(null, "SIGKILL")],
    ["drain", "terminate", "kill"],
    { name: "ended", outcome: { kind: "stopped" } },
  ],
  [
    "a second signal while draining kills at once and is not a clean end",
    [signal, signal, exit(null, "SIGKILL")],
    ["drain", "kill"],
    { name: "ended", outcome: { kind: "hurried" } },
  ],
  [
    "a second signal after SIGTERM kills at once",
    [signal, drained, signal, exit(null, "SIGKILL")],
    ["drain", "terminate", "kill"],
    { name: "ended", outcome: { kind: "hurried" } },
  ],
  [
    "a second signal after SIGKILL sends nothing more",
    [signal, drained, timeOver, signal, signal, exit(null, "SIGKILL")],
    ["drain", "terminate", "kill"],
    { name: "ended", outcome: { kind: "hurried" } },
  ],
  [
    "an Envoy that dies while draining was asked to go",
    [signal, exit(1)],
    ["drain"],
    { name: "ended", outcome: { kind: "stopped" } },
  ],
  [
    "nothing moves after the end",
    [exit(0), signal, drained, timeOver, exit(3)],
    [],
    { name: "ended", outcome: { kind: "stopped" } },
  ],
  ["late news of a drain does not disturb a running Envoy", [drained, timeOver], [], { name: "running" }],
];
for (const [sentence, events, actions, state] of endings) {
  test(sentence, () => {
    assert.equal(play(...events), { actions, state });
  });
}

const started: Event = { kind: "successor-started" };
const serves: Event = { kind: "successor-serves" };
const gone: Event = { kind: "successor-gone" };

const handovers: [string, Event[], string[], State][] = [
  ["a successor that serves is what is supervised then", [started, serves], [], { name: "running" }],
  ["the Envoy that runs goes on when its successor ends", [started, gone], [], { name: "running" }],
  ["a signal during the handover terminates both", [started, signal], ["terminate"], { name: "terminating" }],
  [
    "an Envoy that dies during the handover is a failure",
    [started, exit(1)],
    [],
    { name: "ended", outcome: { kind: "failed", reason: "exit status 1" } },
  ],
  ["a stop is not undone by a successor", [signal, started, serves, gone], ["drain"], { name: "draining" }],
];
for (const [sentence, events, actions, state] of handovers) {
  test(sentence, () => {
    assert.equal(play(...events), { actions, state });
  });
}

function fakeChild() {
  const { promise, resolve } = Promise.withResolvers<{ code: number | null; signal: string | null }>();
  const kills: string[] = [];
  const child: Child = { pid: 1, kill: (name) => void kills.push(name), exit: promise };
  return { child, kills, end: (code: number | null, by: string | null = null) => resolve({ code, signal: by }) };
}

const quiet = { drainTime: 60_000, margin: 60_000, poll: 1, entered: () => {}, drainFailed: () => {} };

test("the wait ends with the last connection, not with the drain time", async () => {
  const { child, kills, end } = fakeChild();
  const counts = [2, 1, 1, 0];
  const asked: string[] = [];
  const terminating = Promise.withResolvers<void>();
  const supervisor = supervise({
    ...quiet,
    child,
    admin: {
      drain: async () => void asked.push("drain"),
      connections: async () => {
        asked.push("connections");
        return counts.shift() ?? 0;
      },
    },
    entered: (state) => state.name === "terminating" && terminating.resolve(),
  });
  supervisor.signal();
  await terminating.promise;
  assert.equal(asked, ["drain", "connections", "connections", "connections", "connections"]);
  assert.equal(kills, ["SIGTERM"]);
  end(0);
  assert.equal(await supervisor.outcome, { kind: "stopped" });
});

test("an Envoy that can't be drained is terminated, and the reason is reported", async () => {
  const { child, kills, end } = fakeChild();
  const told: unknown[] = [];
  const refused = new Error("connect ECONNREFUSED");
  const supervisor = supervise({
    ...quiet,
    child,
    admin: { drain: () => Promise.reject(refused), connections: async () => 1 },
    entered: (state) => state.name === "terminating" && end(0),
    drainFailed: (error) => told.push(error),
  });
  supervisor.signal();
  assert.equal(await supervisor.outcome, { kind: "stopped" });
  assert.equal(told, [refused]);
  assert.equal(kills, ["SIGTERM"]);
});

test("drain time and margin both run out: SIGTERM, then SIGKILL", async () => {
  const { child, kills, end } = fakeChild();
  const supervisor = supervise({
    ...quiet,
    child,
    drainTime: 5,
    margin: 5,
    admin: { drain: async () => {}, connections: async () => 1 },
    entered: (state) => state.name === "killing" && end(null, "SIGKILL"),
  });
  supervisor.signal();
  assert.equal(await supervisor.outcome, { kind: "stopped" });
  assert.equal(kills, ["SIGTERM", "SIGKILL"]);
});

test("a successor takes over once it serves, and the outcome waits for both", async () => {
  const [first, second] = [fakeChild(), fakeChild()];
  const supervisor = supervise({ ...quiet, child: first.child, admin: undefined });
  let asked = 0;
  assert.ok(
    await supervisor.replace({ child: second.child, admin: undefined }, async () => {
      asked += 1;
      if (asked === 1) throw new Error("connect ECONNREFUSED");
      return asked === 3;
    }),
  );
  assert.is(supervisor.predecessor(), first.child);
  supervisor.signal();
  await new Promise(setImmediate);
  assert.equal([first.kills, second.kills], [["SIGTERM"], ["SIGTERM"]]);
  let over = false;
  void supervisor.outcome.then(() => {
    over = true;
  });
  second.end(0);
  await new Promise(setImmediate);
  assert.not.ok(over);
  assert.equal(first.kills, ["SIGTERM", "SIGKILL"]);
  first.end(null, "SIGKILL");
  assert.equal(await supervisor.outcome, { kind: "stopped" });
});

test("a successor that exits before it serves does not affect the running Envoy", async () => {
  const [first, second] = [fakeChild(), fakeChild()];
  const supervisor = supervise({ ...quiet, child: first.child, admin: undefined });
  const replaced = supervisor.replace({ child: second.child, admin: undefined }, async () => false);
  second.end(1);
  assert.not.ok(await replaced);
  assert.is(supervisor.state().name, "running");
  assert.equal(first.kills, []);
  first.end(0);
  assert.equal(await supervisor.outcome, { kind: "stopped" });
});

test("an admin call that hangs does not outlast a second signal", async () => {
  const { child, kills, end } = fakeChild();
  const supervisor = supervise({
    ...quiet,
    child,
    admin: { drain: () => new Promise(() => {}), connections: async () => 1 },
  });
  supervisor.signal();
  supervisor.signal();
  end(null, "SIGKILL");
  assert.equal(await supervisor.outcome, { kind: "hurried" });
  assert.equal(kills, ["SIGKILL"]);
});

test.run();
