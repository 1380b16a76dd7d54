import * as assert from "uvu/assert";
import { watchListeners } from "../../../src/dp/listener-watch.js";
import type { ListenerVerdict } from "../../../src/dp/status-client.js";
import { suite } from "../../support/suite.js";

const test = suite("kuma-dp reports listeners that its Envoy lost");

const well: ListenerVerdict = { connected: true, missing: [], pending: false };
const lacks = (...missing: string[]): ListenerVerdict => ({ connected: true, missing, pending: false });

interface Look {
  /** Envoy's counter; undefined while there is no Envoy to ask, an error when it does not answer. */
  readonly failures: number | undefined | Error;
  /** What a report gets at this look; "old" from a control plane that takes none. Absent: there must be none. */
  readonly verdict?: ListenerVerdict | "old" | Error;
  /** Milliseconds that pass before it. */
  readonly after?: number;
}

/** Goes through the looks, and gives how many reports there were and what was said. */
async function watch(looks: readonly Look[]) {
  const stop = new AbortController();
  const said: string[] = [];
  let at = -1;
  let clock = 0;
  let reports = 0;
  let due = false;
  const finish = () => {
    if (due) assert.is(looks[at]?.verdict, undefined, `look ${at} brings a report`);
  };
  await watchListeners({
    admin() {
      finish();
      at += 1;
      const look = looks[at];
      if (look === undefined) {
        stop.abort();
        return undefined;
      }
      clock += look.after ?? 1;
      due = look.verdict !== undefined;
      const { failures } = look;
      if (failures === undefined) return undefined;
      return {
        async listenerFailures() {
          if (failures instanceof Error) throw failures;
          return failures;
        },
        listeners: async () => ["a", "b"],
      };
    },
    async report(listeners) {
      const verdict = looks[at]?.verdict;
      assert.ok(verdict !== undefined, `look ${at} brings no report`);
      assert.equal(listeners, ["a", "b"]);
      due = false;
      reports += 1;
      if (verdict instanceof Error) throw verdict;
      return verdict === "old" ? undefined : verdict;
    },
    interval: 1,
    reassure: 1000,
    lost: (listeners) => void said.push(`lost ${listeners.join(" ")}`),
    recovered: () => void said.push("recovered"),
    unsupported: () => void said.push("unsupported"),
    failed: (error) => void said.push(`failed: ${error instanceof Error ? error.message : error}`),
    signal: stop.signal,
    now: () => clock,
    random: () => 1,
  });
  finish();
  return { said, reports };
}

test("nothing is reported for an Envoy that never failed, nor without an Envoy", async () => {
  const looks = [{ failures: 0 }, { failures: undefined }, { failures: new Error("timed out") }, { failures: 0 }];
  assert.equal(await watch(looks), { said: ["failed: timed out"], reports: 0 });
});

test("a failure is reported at once; a loss is logged once and reported with growing pauses until it is over", async () => {
  const { said, reports } = await watch([
    { failures: 1, verdict: lacks("x") },
    { failures: 1, verdict: lacks("x") },
    { failures: 1 },
    { failures: 1, verdict: lacks("x") },
    { failures: 2, verdict: lacks("x", "y") },
    { failures: 2, after: 60_000, verdict: well },
    { failures: 2 },
  ]);
  assert.equal(said, ["lost x", "lost x y", "recovered"]);
  assert.is(reports, 5);
});

test("an Envoy that failed once is reported periodically: after a reconnection it claims to have what it lost", async () => {
  const { said } = await watch([
    { failures: 3, verdict: well },
    { failures: 3, after: 900 },
    { failures: 3, after: 200, verdict: lacks("x") },
    { failures: 3, after: 60_000, verdict: well },
    { failures: 3, after: 900 },
  ]);
  assert.equal(said, ["lost x", "recovered"]);
});

test("a report that was lost, too early or sent to another control plane is repeated", async () => {
  const { said } = await watch([
    { failures: 1, verdict: new Error("away") },
    { failures: 1, verdict: { connected: false, missing: [], pending: false } },
    { failures: 1, after: 60_000, verdict: { ...well, pending: true } },
    { failures: 1, after: 60_000, verdict: lacks("x") },
    { failures: 1, after: 60_000, verdict: { connected: false, missing: [], pending: false } },
    { failures: 1, after: 60_000, verdict: well },
    { failures: 1 },
  ]);
  assert.equal(said, ["failed: away", "lost x", "recovered"], "nothing is made of an answer from elsewhere");
});

test("an older control plane is asked once, and again only when Envoy has failed again", async () => {
  const { said, reports } = await watch([
    { failures: 1, verdict: "old" },
    { failures: 1, after: 86_400_000 },
    { failures: 2, verdict: "old" },
    { failures: 2, after: 86_400_000 },
    { failures: 3, verdict: lacks("x") },
  ]);
  assert.equal(said, ["unsupported", "lost x"]);
  assert.is(reports, 3);
});

test("a new Envoy's counter starts at zero", async () => {
  const { reports } = await watch([{ failures: 2, verdict: well }, { failures: 0 }, { failures: 2, verdict: well }]);
  assert.is(reports, 2);
});

test.run();
