import * as assert from "uvu/assert";
import type { DataplaneInsight } from "../../../src/resources/dataplane-insight.js";
import { overviewOf } from "../../../src/resources/dataplane-overview.js";
import { displayTags, identifyingService } from "../../../src/resources/display.js";
import { overviewColumns } from "../../../src/resources/overview-table.js";
import type { Column } from "../../../src/resources/resource.js";
import { suite } from "../../support/suite.js";
import { typeOf } from "./reading.js";

const test = suite("tables");

const dataplaneOf = (...inbounds: Record<string, string>[]) => ({
  networking: { inbound: inbounds.map((tags) => ({ tags })) },
});

const displays: readonly [spec: Parameters<typeof displayTags>[0], tags: string, service: string][] = [
  [{}, "", "unknown"],
  [{ networking: { inbound: [{}] } }, "", "unknown"],
  [dataplaneOf({ service: "redis" }), "service=redis", "redis"],
  [
    dataplaneOf({ service: "mobile", version: "v1" }, { version: "v1", service: "metrics" }),
    "service=metrics,mobile version=v1",
    "metrics",
  ],
  [dataplaneOf({ version: "2", service: "b", env: "x" }), "env=x service=b version=2", "b"],
  [dataplaneOf(JSON.parse('{"__proto__":"p","constructor":"c"}')), "__proto__=p constructor=c", "unknown"],
];

for (const [spec, tags, service] of displays) {
  test(`tags "${tags}" of ${service}`, () => {
    assert.is(displayTags(spec), tags);
    assert.is(identifyingService(spec), service);
  });
}

const row = (columns: readonly Column[], resource: Parameters<Column["cell"]>[0]) =>
  Object.fromEntries(columns.map(({ title, cell }) => [title, cell(resource)]));

test("kumactl get shows NAME and mTLS of meshes", () => {
  const { columns } = typeOf("Mesh");
  const mesh = (spec: unknown) => ({ type: "Mesh", mesh: "m", name: "m", spec });
  assert.equal(row(columns, mesh({})), { NAME: "m", mTLS: "off" });
  assert.equal(row(columns, mesh({ mtls: { enabled: true } })), { NAME: "m", mTLS: "on" });
});

test("kumactl get shows MESH, NAME and TAGS of dataplanes, MESH and NAME of policies", () => {
  const dataplane = { type: "Dataplane", mesh: "m", name: "d", spec: dataplaneOf({ service: "redis" }) };
  assert.equal(row(typeOf("Dataplane").columns, dataplane), { MESH: "m", NAME: "d", TAGS: "service=redis" });
  const log = { type: "TrafficLog", mesh: "m", name: "l", spec: {} };
  assert.equal(row(typeOf("TrafficLog").columns, log), { MESH: "m", NAME: "l" });
});

const connected = Date.parse("2019-07-17T16:05:36.995Z");
const later = (hours: number, minutes = 0, seconds = 0) =>
  new Date(connected + ((hours * 60 + minutes) * 60 + seconds) * 1000);
const last = { connectTime: "2019-07-17T16:05:36.995Z" };
const ended = { connectTime: "2018-07-17T16:05:36.995Z", disconnectTime: "2018-07-18T00:00:00Z" };

const never = {
  STATUS: "Offline",
  "LAST CONNECTED AGO": "never",
  "LAST UPDATED AGO": "never",
  "TOTAL UPDATES": "0",
  "TOTAL ERRORS": "0",
};

const overviews: readonly [
  name: string,
  insight: DataplaneInsight | undefined,
  now: Date,
  cells: Partial<typeof never>,
][] = [
  ["never connected", undefined, later(0), {}],
  ["without subscriptions", {}, later(0), {}],
  ["with a subscription that never began", { subscriptions: [{ id: "1" }] }, later(0), {}],
  [
    "connected twice, the first time a year before",
    {
      subscriptions: [
        {
          ...ended,
          connectTime: "2018-07-17T16:05:36.995Z",
          status: { total: { responsesSent: "10", responsesRejected: "1" } },
        },
        { ...last, status: { total: { responsesSent: "20", responsesRejected: "2" } } },
      ],
    },
    later(2, 3, 4),
    { STATUS: "Online", "LAST CONNECTED AGO": "2h3m4s", "TOTAL UPDATES": "30", "TOTAL ERRORS": "3" },
  ],
  [
    "with subscriptions out of order: the update is that of the last one",
    {
      subscriptions: [
        { ...last, disconnectTime: "2019-07-18T00:00:00Z", status: { lastUpdateTime: "2019-07-17T16:05:37.995Z" } },
        { ...ended, status: { lastUpdateTime: "2019-07-17T18:00:00Z" } },
      ],
    },
    later(50, 0, 1),
    { "LAST CONNECTED AGO": "50h0m1s", "LAST UPDATED AGO": "50h0m0s" },
  ],
  [
    "online when an earlier subscription is still open",
    { subscriptions: [{ connectTime: "2018-07-17T16:05:36Z" }, { ...last, disconnectTime: "2019-07-18T00:00:00Z" }] },
    later(0, 4),
    { STATUS: "Online", "LAST CONNECTED AGO": "4m0s" },
  ],
  [
    "connected in the future of a late clock",
    { subscriptions: [last] },
    later(-1),
    { STATUS: "Online", "LAST CONNECTED AGO": "0s" },
  ],
  [
    "connected just now",
    { subscriptions: [last] },
    new Date(connected + 999),
    { STATUS: "Online", "LAST CONNECTED AGO": "0s" },
  ],
  [
    "with counters beyond what a number holds",
    {
      subscriptions: [
        { status: { total: { responsesSent: "18446744073709551615" } } },
        { status: { total: { responsesSent: "1" } } },
      ],
    },
    later(0),
    { "TOTAL UPDATES": "18446744073709551616" },
  ],
];

for (const [name, insight, now, cells] of overviews) {
  test(`inspect shows a dataplane ${name}`, () => {
    const dataplane = { type: "Dataplane", mesh: "m", name: "d", spec: dataplaneOf({ service: "redis" }) };
    const overview = overviewOf(dataplane, insight);
    const columns = overviewColumns(now);
    assert.equal(
      columns.map(({ title }) => title),
      ["MESH", "NAME", "TAGS", "STATUS", "LAST CONNECTED AGO", "LAST UPDATED AGO", "TOTAL UPDATES", "TOTAL ERRORS"],
    );
    const shown = Object.fromEntries(columns.map(({ title, cell }) => [title, cell(overview)]));
    assert.equal(shown, { MESH: "m", NAME: "d", TAGS: "service=redis", ...never, ...cells });
  });
}

test("an overview has no insight if there is none", () => {
  const dataplane = { type: "Dataplane", mesh: "m", name: "d", spec: {} };
  assert.equal(overviewOf(dataplane, undefined), {
    type: "DataplaneOverview",
    mesh: "m",
    name: "d",
    spec: { dataplane: {} },
  });
  assert.equal(overviewOf(dataplane, {}).spec, { dataplane: {}, dataplaneInsight: {} });
});

test.run();
