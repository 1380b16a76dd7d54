import * as assert from "uvu/assert";
import { type Lifecycle, startParts } from "../../../src/cp/lifecycle.js";
import { createLogger } from "../../../src/lib/logger.js";
import { suite } from "../../support/suite.js";
import { silent } from "./stage.js";

const test = suite("what a control plane starts and closes");

/** Parts that write down when they begin and end closing; closing takes a turn of the event loop. */
function createParts() {
  const events: string[] = [];
  const part = (name: string) => ({
    name,
    async close() {
      events.push(`${name} closes`);
      await new Promise((resolve) => setImmediate(resolve));
      events.push(`${name} closed`);
    },
  });
  return { events, part };
}

const broken = (message: string) => ({
  close() {
    throw new Error(message);
  },
});

/** Starts the parts and servers of a small control plane; `last` is the step at the end. */
async function start(lifecycle: Lifecycle, part: ReturnType<typeof createParts>["part"], last = () => {}) {
  lifecycle.runs("store", part("store"));
  lifecycle.serves("xds", part("xds"));
  lifecycle.runs("view", part("view"));
  lifecycle.serves("api", part("api"));
  last();
  return lifecycle;
}

const inOrder = [
  ...["xds closes", "api closes", "xds closed", "api closed"],
  ...["view closes", "view closed", "store closes", "store closed"],
];

test("the servers close first and together, then each part before those that were started before it", async () => {
  const { events, part } = createParts();
  const lifecycle = await startParts(silent, (given) => start(given, part));
  assert.equal(events, []);
  await lifecycle.close();
  assert.equal(events, inOrder);
  await lifecycle.close();
  assert.equal(events, inOrder, "nothing is closed twice");
});

test("a part is given back as it is", async () => {
  const { part } = createParts();
  const [view, api] = [part("view"), part("api")];
  await startParts(silent, async ({ runs, serves }) => {
    assert.is(runs("view", view), view);
    assert.is(serves("api", api), api);
  });
});

test("when a part can't be started, those that run are closed before the error is told", async () => {
  const { events, part } = createParts();
  const taken = new Error("the port is already taken");
  const starting = startParts(silent, (lifecycle) =>
    start(lifecycle, part, () => {
      throw taken;
    }),
  );
  const error = await starting.catch((reason: unknown) => reason);
  assert.is(error, taken);
  assert.equal(events, inOrder);
});

test("a part that can't be closed is logged by its name and keeps no other from closing", async () => {
  const { events, part } = createParts();
  const logged: string[] = [];
  const logger = createLogger({ name: "test", level: "info", write: (line) => void logged.push(line) });
  const lifecycle = await startParts(logger, async (given) => {
    given.serves("tokens", broken("the socket is stuck"));
    await start(given, part);
    return given;
  });
  lifecycle.runs("insights", { close: () => Promise.reject(new Error("the disk is full")) });
  await lifecycle.close();
  assert.equal(events, inOrder);
  assert.is(logged.length, 2);
  assert.match(logged[0] ?? "", /ERROR.*could not close.*"part":"tokens","error":"the socket is stuck"/);
  assert.match(logged[1] ?? "", /ERROR.*could not close.*"part":"insights","error":"the disk is full"/);
});

test("a part that fails to close after a failed start does not hide why the start failed", async () => {
  const starting = startParts(silent, async ({ runs }) => {
    runs("store", broken("gone"));
    throw new Error("the port is already taken");
  });
  const error = await starting.catch((reason: unknown) => reason);
  assert.match(String(error), "the port is already taken");
});

test.run();
