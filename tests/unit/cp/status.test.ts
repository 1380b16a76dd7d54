import * as assert from "uvu/assert";
import { createRecentRefusals } from "../../../src/cp/recent-refusals.js";
import { validityWarning } from "../../../src/cp/secrets.js";
import { createStatus } from "../../../src/cp/status.js";
import { readStatus } from "../../../src/ctl/check/status.js";
import { uncounted } from "../../../src/net/incidents.js";
import { StoreError } from "../../../src/store/store.js";
import { suite } from "../../support/suite.js";

const test = suite("the control plane's status");

const sdsCertificate = {
  notBefore: new Date("2026-01-01T00:00:00Z"),
  notAfter: new Date("2036-01-01T00:00:00Z"),
  setting: "KUMA_SDS_SERVER_TLS_CERT_FILE",
};

/** A store whose writes have a given result, and a stopped clock. */
function stage(tryWrite: () => Promise<void>) {
  let [time, writes] = [0, 0];
  const counted = {
    tryWrite() {
      writes += 1;
      return tryWrite();
    },
  };
  const refusals = createRecentRefusals(() => Date.parse("2026-06-01T12:00:00Z") + time);
  const status = createStatus({ store: counted, storeType: "postgres", sdsCertificate, refusals, clock: () => time });
  return { status, refusals, writes: () => writes, pass: (ms: number) => (time += ms) };
}

const key = { type: "WriteTest", mesh: "", name: "write-test" };

test("a store that accepts a write is writable", async () => {
  const { store, sdsCertificate: shown } = await stage(async () => {}).status();
  assert.equal(store, { type: "postgres", writable: true });
  assert.equal(shown, {
    notBefore: "2026-01-01T00:00:00.000Z",
    notAfter: "2036-01-01T00:00:00.000Z",
    setting: "KUMA_SDS_SERVER_TLS_CERT_FILE",
  });
});

test("the reason of a failed write is the backend's error", async () => {
  for (const [error, reason] of [
    [new StoreError("unavailable", key, new Error("it is a read-only replica")), "it is a read-only replica"],
    [new Error("permission denied for table resources"), "permission denied for table resources"],
    [new StoreError("unavailable", key), 'WriteTest "write-test" in mesh "": unavailable'],
  ] as const) {
    const { store } = await stage(() => Promise.reject(error)).status();
    assert.equal(store, { type: "postgres", writable: false, reason });
  }
});

test("however many requests there are, the store is checked once in two seconds, and never twice at the same time", async () => {
  let end = () => {};
  const hanging = stage(() => new Promise<void>((resolve) => (end = resolve)));
  const asked = Array.from({ length: 50 }, () => hanging.status());
  hanging.pass(60_000);
  asked.push(hanging.status());
  end();
  for (const { store } of await Promise.all(asked)) assert.is(store.writable, true);
  assert.is(hanging.writes(), 1);

  let broken = false;
  const quick = stage(async () => {
    if (broken) throw new Error("full");
  });
  await quick.status();
  broken = true;
  quick.pass(1_999);
  assert.is((await quick.status()).store.writable, true);
  quick.pass(1);
  assert.is((await quick.status()).store.writable, false);
  assert.is(quick.writes(), 2);
});

test("exceeded limits are shown for ten minutes, and those that only delay are not", async () => {
  const { status, refusals, pass } = stage(async () => {});
  const counted: string[] = [];
  const watched = refusals.watch("xds", { ...uncounted, refused: (limit) => counted.push(limit) });
  watched.refused("messages");
  pass(60_000);
  watched.refused("messages");
  watched.refused("opening_connections");
  refusals.watch("sds", uncounted).refused("messages");
  assert.equal(counted, ["messages", "messages", "opening_connections"], "the metric counts all");
  assert.equal(
    [...(await status()).refusals].sort((a, b) => (a.server < b.server ? -1 : 1)),
    [
      { server: "sds", limit: "messages", times: 1, last: "2026-06-01T12:01:00.000Z" },
      { server: "xds", limit: "messages", times: 2, last: "2026-06-01T12:01:00.000Z" },
    ],
  );
  pass(600_001);
  assert.equal((await status()).refusals, []);
});

test("kumactl reads back the status, and of anything else what it can", async () => {
  const { status, refusals } = stage(() => Promise.reject(new Error("full")));
  refusals.watch("xds", uncounted).refused("messages");
  assert.equal(readStatus(JSON.parse(JSON.stringify(await status()))), {
    store: { type: "postgres", problem: "full" },
    sdsCertificate,
    refusals: [{ server: "xds", limit: "messages", times: 1, last: "2026-06-01T12:00:00.000Z" }],
  });
  for (const strange of [null, 5, [], {}, { store: 1 }]) assert.is(readStatus(strange), undefined);
  assert.equal(readStatus({ store: { writable: false }, sdsCertificate: { notAfter: "soon" }, refusals: [1, {}] }), {
    store: { type: "", problem: "the control plane gave no reason" },
    sdsCertificate: undefined,
    refusals: [{ server: "", limit: "", times: 0, last: "" }],
  });
});

test("kuma-cp warns of an expired or not yet valid certificate of the SDS server, with a remedy", () => {
  const at = (time: string, setting?: string) => validityWarning({ ...sdsCertificate, setting }, new Date(time));
  assert.is(at("2026-01-01T00:00:00Z"), undefined);
  assert.is(at("2035-12-31T23:59:59Z"), undefined);
  assert.match(
    at("2036-01-01T00:00:00Z", "KUMA_SDS_SERVER_TLS_CERT_FILE") ?? "",
    /^the certificate of the SDS server expired at 2036-01-01T00:00:00\.000Z\. .*put a new certificate and its key into the files that KUMA_SDS_SERVER_TLS_CERT_FILE and KUMA_SDS_SERVER_TLS_KEY_FILE name, and restart kuma-cp$/,
  );
  assert.match(
    at("2025-12-31T23:59:59Z") ?? "",
    /is not valid before 2026-01-01T00:00:00\.000Z; the clock of this machine says 2025-12-31T23:59:59\.000Z\..*name files with a new certificate/,
  );
});

test.run();
