import * as assert from "uvu/assert";
import { applicationLines } from "../../../src/ctl/applications.js";
import { suite } from "../../support/suite.js";

const test = suite("kumactl inspect dataplanes: applications that are down");

const open = { id: "1", connectTime: "2026-01-01T00:00:00Z" };
const ended = { ...open, disconnectTime: "2026-01-01T01:00:00Z" };

const overview = (name: string, subscription: object, down?: readonly number[]) => ({
  type: "DataplaneOverview",
  mesh: "default",
  name,
  dataplane: { networking: {} },
  dataplaneInsight: { subscriptions: [subscription] },
  ...(down === undefined ? {} : { dataplaneHealth: { down } }),
});

test("get a line for each of their ports, and others get none", () => {
  const lines = applicationLines([overview("a", open), overview("b", open, [80, 443]), overview("c", open, [])]);
  assert.equal(lines.split("\n"), [
    'the application of "b" does not accept connections on port 80',
    'the application of "b" does not accept connections on port 443',
    "",
  ]);
});

test("get no line once their sidecar is offline, because its last report is outdated", () => {
  assert.is(applicationLines([overview("a", ended, [80])]), "");
});

test.run();
