import * as assert from "uvu/assert";
import type { IssuedIdentity } from "../../../src/xds/secrets/identities.js";
import { createLease, type ReadyAuthority } from "../../../src/xds/secrets/identity-lease.js";
import { createFakeTime } from "../../support/fake-time.js";
import { runSeed, seeded } from "../../support/random.js";
import { suite } from "../../support/suite.js";

const test = suite("the lease of a proxy's certificate");

const hour = 3_600_000;
const day = 24 * hour;

interface Options {
  readonly validityMs?: number;
  readonly random?: () => number;
}

/** A lease, and its queued work. Certificates are written as `web by r1 #2`. */
function open({ validityMs = 10 * hour, random = () => 0.5 }: Options = {}) {
  const time = createFakeTime();
  const turns: (() => Promise<void>)[] = [];
  const signing: { readonly make: () => void; readonly fail: () => void }[] = [];
  const told: string[] = [];
  const proof = { valid: true };
  let serial = 0;

  const authority = (signer: string): ReadyAuthority => ({
    kind: "ready",
    bundle: signer,
    signer,
    issue: (services) =>
      new Promise((resolve, reject) => {
        const number = ++serial;
        signing.push({
          make() {
            const notAfter = new Date(time.now() + validityMs);
            const text = `${services} by ${signer} #${number}`;
            resolve({
              services,
              certificateChain: text,
              privateKey: "",
              serial: text,
              notBefore: new Date(time.now()),
              notAfter,
            });
          },
          fail: () => reject(new Error(`no ${services} by ${signer}`)),
        });
      }),
  });
  const lease = createLease({
    issued: ({ serial: text }: IssuedIdentity) => void told.push(text),
    failed: (error) => void told.push(String(error)),
    mayIssue: () => proof.valid,
    pace: (work) => void turns.push(work),
    timers: time.timers,
    now: time.now,
    random,
  });
  const underWay = new Set<Promise<void>>();
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  const stage = {
    lease,
    time,
    proof,
    turns,
    is: (services: string, signer = "r1") =>
      lease.follow({ services: services.split(" "), authority: authority(signer) }),
    gone: () => lease.follow(undefined),
    /** Starts the queued work: signing begins. */
    begin() {
      for (const work of turns.splice(0)) underWay.add(work());
    },
    /** Completes the signing, or lets it fail. */
    async finish(how: "make" | "fail" = "make") {
      for (const pending of signing.splice(0)) pending[how]();
      await settle();
    },
    async issue(how?: "make" | "fail") {
      stage.begin();
      await stage.finish(how);
    },
    /** The certificates issued and the failures since the last call. */
    heard: () => told.splice(0),
  };
  return stage;
}

type Stage = ReturnType<typeof open>;

/** How to reach each state. */
const ways: Readonly<Record<string, (stage: Stage) => Promise<void>>> = {
  waiting: async () => {},
  issuing: async ({ is }) => is("web"),
  live: async ({ is, issue }) => {
    is("web");
    await issue();
  },
  failed: async ({ is, issue }) => {
    is("web");
    await issue("fail");
  },
};

async function at(state: string, options?: Options): Promise<Stage> {
  const stage = open(options);
  await ways[state]?.(stage);
  assert.is(stage.lease.state.kind, state);
  stage.heard();
  return stage;
}

const arrows: readonly (readonly [from: string, event: string, act: (stage: Stage) => unknown, to: string])[] = [
  ["waiting", "dataplane and authority are there", ({ is }) => is("web"), "issuing"],
  ["waiting", "they are still missing", ({ gone }) => gone(), "waiting"],
  ["issuing", "the certificate is made", ({ issue }) => issue(), "live"],
  ["issuing", "it can't be made", ({ issue }) => issue("fail"), "failed"],
  ["issuing", "the authority goes", ({ gone }) => gone(), "waiting"],
  ["issuing", "nothing new is said", ({ is }) => is("web"), "issuing"],
  ["live", "nothing new is said", ({ is }) => is("web"), "live"],
  ["live", "services change", ({ is }) => is("web api"), "issuing"],
  ["live", "another root signs", ({ is }) => is("web", "r2"), "issuing"],
  ["live", "80 % of its life is over", ({ time }) => time.pass(8 * hour), "issuing"],
  ["live", "the authority goes", ({ gone }) => gone(), "live"],
  ["failed", "nothing new is said", ({ is }) => is("web"), "failed"],
  ["failed", "services change", ({ is }) => is("api"), "issuing"],
  ["failed", "another root signs", ({ is }) => is("web", "r2"), "issuing"],
  ["failed", "five seconds are over", ({ time }) => time.pass(5000), "issuing"],
  ["failed", "the authority goes", ({ gone }) => gone(), "waiting"],
];

for (const [from, event, act, to] of arrows) {
  test(`${from} → ${to} when ${event}`, async () => {
    const stage = await at(from);
    await act(stage);
    assert.is(stage.lease.state.kind, to);
    const timers = to === "live" || to === "failed" ? 1 : 0;
    assert.is(stage.time.waiting, timers, "a timer runs where something is to come, and only there");
  });
}

test("a certificate is issued once its work is dequeued, and delivered once", async () => {
  const { is, begin, finish, heard, turns } = open();
  is("api web");
  assert.is(turns.length, 1);
  begin();
  assert.equal(heard(), []);
  await finish();
  assert.equal(heard(), ["api,web by r1 #1"]);
});

test("a certificate is renewed between 75 and 85 % of its validity, whatever the jitter", async () => {
  const draws = [0, 0.25, 0.5, 0.75, 1 - Number.EPSILON];
  const random = seeded(runSeed);
  for (const draw of [...draws, ...Array.from({ length: 50 }, random.next)]) {
    const { time, lease, turns } = await at("live", { validityMs: 1000 * hour, random: () => draw });
    time.pass((750 + 100 * draw) * hour - 2);
    assert.is(lease.state.kind, "live", `drawn ${draw}`);
    time.pass(4);
    assert.is(lease.state.kind, "issuing", `drawn ${draw}`);
    assert.is(turns.length, 1);
  }
});

test("certificates are renewed repeatedly, each relative to the time it was issued", async () => {
  const { time, issue, heard } = await at("live");
  for (const number of [2, 3, 4]) {
    time.pass(8 * hour - 1);
    assert.equal(heard(), []);
    time.pass(1);
    // The queue is long.
    time.pass(hour);
    await issue();
    assert.equal(heard(), [`web by r1 #${number}`]);
  }
});

test("a validity may be longer than a timer can run", async () => {
  const { time, lease } = await at("live", { validityMs: 365 * day });
  time.pass(292 * day - 1);
  assert.is(lease.state.kind, "live");
  time.pass(1);
  assert.is(lease.state.kind, "issuing");
});

test("a machine that was suspended beyond the renewal time notices within an hour", async () => {
  const { time, lease } = await at("live", { validityMs: 30 * day });
  time.sleep(25 * day);
  time.pass(hour);
  assert.is(lease.state.kind, "issuing");
});

test("a certificate that is already expired when issued is renewed once dequeued, not before", async () => {
  const { is, issue, time, turns, heard } = open({ validityMs: -1 });
  is("web");
  await issue();
  assert.is(turns.length, 0);
  time.pass(0);
  assert.is(turns.length, 1);
  assert.equal(heard(), ["web by r1 #1"]);
});

const meanwhile: readonly (readonly [title: string, change: (stage: Stage) => void, issued: readonly string[]])[] = [
  ["services change", ({ is }) => is("api"), ["api by r1"]],
  ["another root signs", ({ is }) => is("web", "r2"), ["web by r2"]],
  [
    "they change and change back",
    ({ is }) => {
      is("api");
      is("web");
    },
    ["web by r1"],
  ],
  [
    "the authority is removed and restored",
    ({ is, gone }) => {
      gone();
      is("web");
    },
    ["web by r1"],
  ],
  ["the authority is removed", ({ gone }) => gone(), []],
];

for (const [title, change, issued] of meanwhile) {
  const certificates = (heard: readonly string[]) => heard.map((text) => text.replace(/ #\d+$/, ""));
  test(`${title} while a certificate is queued: only the current certificate is issued`, async () => {
    const stage = await at("issuing");
    change(stage);
    await stage.issue();
    assert.equal(certificates(stage.heard()), issued);
  });
  for (const how of ["make", "fail"] as const) {
    test(`${title} while a certificate is signed, which ${how === "make" ? "succeeds" : "fails"}: the result is discarded`, async () => {
      const stage = await at("issuing");
      stage.begin();
      change(stage);
      await stage.finish(how);
      assert.equal(stage.heard(), []);
      await stage.issue();
      assert.equal(certificates(stage.heard()), issued);
    });
  }
}

test("without an authority at the renewal time, the certificate is renewed once the authority is back", async () => {
  const stage = await at("live");
  stage.gone();
  stage.time.pass(9 * hour);
  assert.is(stage.lease.state.kind, "live");
  assert.is(stage.turns.length, 0);
  stage.is("web");
  await stage.issue();
  assert.equal(stage.heard(), ["web by r1 #2"]);
});

test("an authority that is back before the renewal time issues nothing until then", async () => {
  const stage = await at("live");
  stage.gone();
  stage.time.pass(hour);
  stage.is("web");
  assert.is(stage.lease.state.kind, "live");
  stage.time.pass(7 * hour);
  assert.is(stage.lease.state.kind, "issuing");
});

test("an authority that is back with another root replaces the certificate immediately", async () => {
  const stage = await at("live");
  stage.gone();
  stage.is("web", "r2");
  await stage.issue();
  assert.equal(stage.heard(), ["web by r2 #2"]);
});

test("a renewal is signed by the authority at that time, even if its root is unchanged", async () => {
  const stage = await at("live");
  const used: string[] = [];
  const issue = async () => {
    used.push("the newer");
    throw new Error("enough");
  };
  stage.lease.follow({ services: ["web"], authority: { kind: "ready", bundle: "r1 r2", signer: "r1", issue } });
  stage.time.pass(8 * hour);
  await stage.issue();
  assert.equal(used, ["the newer"]);
});

test("a failure is reported, and the issue is retried every five seconds until it succeeds", async () => {
  const stage = await at("failed");
  for (let attempt = 0; attempt < 3; attempt++) {
    stage.time.pass(4999);
    assert.is(stage.turns.length, 0);
    stage.time.pass(1);
    await stage.issue("fail");
    assert.equal(stage.heard(), ["Error: no web by r1"]);
  }
  stage.time.pass(5000);
  await stage.issue();
  assert.equal(stage.heard(), ["web by r1 #5"]);
  assert.is(stage.lease.state.kind, "live");
});

test("after a failure, an unchanged subject is not retried sooner", async () => {
  const stage = await at("failed");
  for (let index = 0; index < 10; index++) stage.is("web");
  assert.is(stage.turns.length, 0);
});

for (const from of ["waiting", "live", "failed"]) {
  test(`${from} → ended when the token has expired by the next certificate`, async () => {
    const stage = await at(from);
    stage.proof.valid = false;
    assert.is(stage.lease.state.kind, from, "until then it stays what it is");
    if (from === "waiting") stage.is("web");
    else stage.time.pass(9 * hour);
    await stage.issue();
    assert.is(stage.lease.state.kind, "ended");
    assert.equal(stage.heard(), []);
    assert.is(stage.time.waiting, 0);
  });
}

for (const from of [...Object.keys(ways), "signing"]) {
  test(`${from} → ended: nothing is issued any more, and no timer runs`, async () => {
    const stage = await at(from === "signing" ? "issuing" : from);
    if (from === "signing") stage.begin();
    stage.lease.end();
    stage.is("api");
    stage.gone();
    stage.is("web", "r2");
    stage.lease.end();
    await stage.issue();
    stage.time.pass(100 * hour);
    await stage.issue();
    assert.is(stage.lease.state.kind, "ended");
    assert.equal(stage.heard(), []);
    assert.equal([stage.turns.length, stage.time.waiting], [0, 0]);
  });
}

test("after events in any order the last certificate is current, and each was current when issued", async () => {
  for (let run = 0; run < 300; run++) {
    const random = seeded(runSeed + run);
    const place = `TEST_SEED=${runSeed}, run ${run}`;
    const stage = open({ random: random.next });
    let subject: string | undefined;
    let last = "";
    const check = () => {
      for (const text of stage.heard()) {
        if (text.startsWith("Error")) continue;
        last = text.replace(/ #\d+$/, "");
        assert.is(last, subject, place);
      }
      assert.ok(stage.time.waiting <= 1, `one timer at most, ${place}`);
    };
    for (let step = 0; step < 40; step++) {
      const action = random.below(6);
      if (action === 0) {
        subject = undefined;
        stage.gone();
      } else if (action < 3) {
        const [services, signer] = [random.pick(["web", "api"]), random.pick(["r1", "r2"])];
        subject = `${services} by ${signer}`;
        stage.is(services, signer);
      } else if (action === 3) stage.begin();
      else if (action === 4) await stage.finish(random.chance(0.7) ? "make" : "fail");
      else stage.time.pass(random.below(10 * hour));
      check();
    }
    if (subject === undefined) continue;
    await stage.issue();
    stage.time.pass(5000);
    await stage.issue();
    check();
    assert.is(last, subject, place);
    assert.equal([stage.lease.state.kind, stage.time.waiting], ["live", 1], place);
  }
});

test.run();
