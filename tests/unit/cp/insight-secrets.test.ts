import * as assert from "uvu/assert";
import { certified, mergeSecrets, noNews, type SecretNews, together } from "../../../src/cp/insights/secrets.js";
import {
  type DataplaneInsight,
  dataplaneInsightType,
  type MtlsInsight,
} from "../../../src/resources/dataplane-insight.js";
import { registry } from "../../../src/resources/registry.js";
import { type Key, type Store, StoreError, type Write } from "../../../src/store/store.js";
import { suite } from "../../support/suite.js";
import { at, type RecordingOptions, recording } from "./recording.js";

const test = suite("a proxy's certificate in its insight");

/** The time `at(second)` in the format of insights. */
const text = (second: number) => `2019-10-24T14:04:${String(second).padStart(2, "0")}.820Z`;

/** A certificate acknowledged at one second and valid until another. */
const taken = (second: number, until: number) => ({ certified: { at: at(second), notAfter: at(until) } });
const refusal = (second: number, reason = "no token") => ({ refusal: { at: at(second), reason } });

const known: MtlsInsight = {
  certificateExpirationTime: text(30),
  lastCertificateRegeneration: text(3),
  certificateRegenerations: 3,
  trustedRoots: "v1",
};
const refused: MtlsInsight = { ...known, refusal: { time: text(9), reason: "expired" } };
const renewed = { certificateExpirationTime: text(40), lastCertificateRegeneration: text(10) };

const merges: readonly (readonly [
  title: string,
  stored: MtlsInsight | undefined,
  news: SecretNews,
  merged: MtlsInsight | undefined,
])[] = [
  ["nothing is known, and there is no news", undefined, noNews, undefined],
  ["no news", refused, noNews, refused],
  [
    "the first certificate",
    undefined,
    { ...taken(10, 40), certificates: 1 },
    { ...renewed, certificateRegenerations: 1 },
  ],
  [
    "the first certificate, and the roots",
    undefined,
    { ...taken(10, 40), certificates: 1, trustedRoots: "v1" },
    { ...renewed, certificateRegenerations: 1, trustedRoots: "v1" },
  ],
  [
    "another certificate",
    known,
    { ...taken(10, 40), certificates: 1 },
    { ...known, ...renewed, certificateRegenerations: 4 },
  ],
  [
    "several certificates: the last one, all counted",
    known,
    { ...taken(10, 40), certificates: 5 },
    { ...known, ...renewed, certificateRegenerations: 8 },
  ],
  [
    "a certificate after a refusal",
    refused,
    { ...taken(10, 40), certificates: 1 },
    { ...known, ...renewed, certificateRegenerations: 4 },
  ],
  [
    "other roots, which settle no refusal",
    refused,
    { certificates: 0, trustedRoots: "v2" },
    { ...refused, trustedRoots: "v2" },
  ],
  [
    "a refusal before there was a certificate",
    undefined,
    { ...refusal(10), certificates: 0 },
    { refusal: { time: text(10), reason: "no token" } },
  ],
  [
    "a refusal, which takes no certificate away",
    known,
    { ...refusal(10), certificates: 0 },
    { ...known, refusal: { time: text(10), reason: "no token" } },
  ],
  [
    "another refusal",
    refused,
    { ...refusal(10), certificates: 0 },
    { ...known, refusal: { time: text(10), reason: "no token" } },
  ],
  [
    "a certificate, and a refusal after it",
    refused,
    { ...taken(10, 40), ...refusal(11), certificates: 1 },
    { ...known, ...renewed, certificateRegenerations: 4, refusal: { time: text(11), reason: "no token" } },
  ],
];

for (const [title, stored, news, merged] of merges) {
  test(`is brought up to date with news: ${title}`, () => {
    assert.equal(mergeSecrets(stored, news), merged);
  });
}

const pairs: readonly (readonly [title: string, earlier: SecretNews, later: SecretNews, both: SecretNews])[] = [
  ["there is none", noNews, noNews, noNews],
  [
    "certificates: the later one, all counted",
    { ...taken(1, 30), certificates: 2 },
    { ...taken(2, 40), certificates: 3 },
    { ...taken(2, 40), certificates: 5 },
  ],
  [
    "roots: the later ones",
    { ...taken(1, 30), certificates: 1, trustedRoots: "v1" },
    { certificates: 0, trustedRoots: "v2" },
    { ...taken(1, 30), certificates: 1, trustedRoots: "v2" },
  ],
  [
    "roots, and then a certificate",
    { certificates: 0, trustedRoots: "v1" },
    { ...taken(2, 40), certificates: 1 },
    { ...taken(2, 40), certificates: 1, trustedRoots: "v1" },
  ],
  [
    "a refusal that a certificate settles",
    { ...refusal(1), certificates: 0, trustedRoots: "v1" },
    { ...taken(2, 40), certificates: 1 },
    { ...taken(2, 40), certificates: 1, trustedRoots: "v1" },
  ],
  [
    "a refusal that came after the certificate",
    { ...taken(1, 30), certificates: 1 },
    { ...refusal(2), certificates: 0 },
    { ...taken(1, 30), ...refusal(2), certificates: 1 },
  ],
  [
    "a refusal between two certificates",
    { ...taken(1, 30), ...refusal(2), certificates: 1 },
    { ...taken(3, 40), certificates: 1 },
    { ...taken(3, 40), certificates: 2 },
  ],
  [
    "a refusal that came after a certificate which settled another",
    { ...refusal(1, "expired"), certificates: 0 },
    { ...taken(2, 40), ...refusal(3), certificates: 1 },
    { ...taken(2, 40), ...refusal(3), certificates: 1 },
  ],
  [
    "a refusal that nothing settled",
    { ...refusal(1), certificates: 0 },
    { certificates: 0, trustedRoots: "v1" },
    { ...refusal(1), certificates: 0, trustedRoots: "v1" },
  ],
];

for (const [title, earlier, later, both] of pairs) {
  test(`joins news with what came since: ${title}`, () => {
    assert.equal(together(earlier, later), both);
    assert.equal(together(noNews, both), both);
    assert.equal(together(both, noNews), both);
  });
}

test("is the same whether news are written one by one or together", () => {
  const all = [noNews, ...pairs.flatMap(([, earlier, later]) => [earlier, later]), ...merges.map(([, , news]) => news)];
  for (const stored of [undefined, known, refused]) {
    for (const earlier of all) {
      for (const later of all) {
        const oneByOne = mergeSecrets(mergeSecrets(stored, earlier), later);
        const label = JSON.stringify([stored, earlier, later]);
        assert.equal(mergeSecrets(stored, together(earlier, later)), oneByOne, label);
      }
    }
  }
});

test("a certificate clears the rejection before it, and is counted", () => {
  const news = certified({ ...taken(1, 30), ...refusal(2), certificates: 1, trustedRoots: "v1" }, at(40), at(3));
  assert.equal(news, { ...taken(3, 40), certificates: 2, trustedRoots: "v1" });
});

const a = { mesh: "default", name: "a" };
const insightKey: Key = { type: "DataplaneInsight", ...a };
const certificate = (until: number) => ({ notAfter: at(until) });

/** A recorder whose store rejects writes on request; `writes` has the names of all insights written so far. */
async function recordingWrites(interfere: (inner: Store, all: readonly Write[]) => unknown = () => undefined) {
  const writes: string[] = [];
  const store: RecordingOptions["store"] = (inner) => ({
    ...inner,
    async writeAll(all) {
      const refusals = (await interfere(inner, all)) as StoreError[] | undefined;
      if (refusals !== undefined) return refusals;
      writes.push(...all.map(({ resource }) => resource.name));
      return inner.writeAll(all);
    },
  });
  return { writes, ...(await recording({ store })) };
}

const conflicts = (all: readonly Write[]) => all.map(({ resource }) => new StoreError("conflict", resource));

test("is written beside the streams, and kept when those are updated", async () => {
  const { recorder, insight } = await recording();
  recorder.opened({ ...a, id: "s-1", at: at(1) });
  recorder.trusting(a, "v1");
  recorder.certified(a, certificate(30), at(3));
  await recorder.flush();
  const mTLS = {
    certificateExpirationTime: text(30),
    lastCertificateRegeneration: text(3),
    certificateRegenerations: 1,
    trustedRoots: "v1",
  };
  assert.equal((await insight())?.mTLS, mTLS);
  recorder.sent("s-1", "cds", at(4));
  await recorder.flush();
  recorder.closed("s-1", at(5));
  await recorder.close();
  const spec = await insight();
  assert.equal(spec?.mTLS, mTLS);
  assert.is(spec?.subscriptions?.[0]?.disconnectTime, text(5));
  const { schema } = registry.byName("DataplaneInsight") ?? {};
  assert.equal(schema?.read(spec, { mode: "strict", path: [], unknown: [] }), spec);
});

test("counts certificates over one flush and several", async () => {
  const { recorder, insight } = await recording();
  recorder.certified(a, certificate(30), at(1));
  recorder.certified(a, certificate(31), at(2));
  await recorder.flush();
  assert.is((await insight())?.mTLS?.certificateRegenerations, 2);
  recorder.certified(a, certificate(32), at(3));
  await recorder.flush();
  assert.equal((await insight())?.mTLS, {
    certificateExpirationTime: text(32),
    lastCertificateRegeneration: text(3),
    certificateRegenerations: 3,
  });
});

test("counts each certificate once, even if a write is rejected or fails, and later ones too", async () => {
  let attempts = 0;
  const stage = await recordingWrites((_inner, all) => {
    attempts += 1;
    if (attempts > 2) return undefined;
    recorder.certified(a, certificate(30 + attempts), at(attempts));
    if (attempts === 2) throw new StoreError("unavailable", insightKey);
    return conflicts(all);
  });
  const { recorder, insight } = stage;
  recorder.trusting(a, "v1");
  recorder.certified(a, certificate(30), at(0));
  for (const expected of [undefined, undefined, 3]) {
    await recorder.flush();
    assert.is((await insight())?.mTLS?.certificateRegenerations, expected);
  }
  assert.equal((await insight())?.mTLS, {
    certificateExpirationTime: text(32),
    lastCertificateRegeneration: text(2),
    certificateRegenerations: 3,
    trustedRoots: "v1",
  });
  await recorder.flush();
  assert.equal(stage.writes, ["a"], "nothing is left to write");
});

test("news during a write wait for the next write, together with later ones", async () => {
  const { recorder, insight, writes } = await recordingWrites((_inner, all) => {
    const spec = all[0]?.resource.spec as DataplaneInsight | undefined;
    if (spec?.mTLS?.certificateRegenerations === 1) recorder.certified(a, certificate(31), at(2));
  });
  recorder.certified(a, certificate(30), at(1));
  await recorder.flush();
  assert.is((await insight())?.mTLS?.certificateRegenerations, 1);
  recorder.trusting(a, "v1");
  recorder.certified(a, certificate(32), at(3));
  await recorder.flush();
  assert.equal(writes, ["a", "a"]);
  assert.equal((await insight())?.mTLS, {
    certificateExpirationTime: text(32),
    lastCertificateRegeneration: text(3),
    certificateRegenerations: 3,
    trustedRoots: "v1",
  });
});

test("adds to what another instance recorded meanwhile", async () => {
  let races = 1;
  const { recorder, insight } = await recordingWrites(async (inner, all) => {
    if (races === 0) return undefined;
    races -= 1;
    await inner.create({ ...insightKey, spec: { subscriptions: [{ id: "other" }], mTLS: refused } });
    return conflicts(all);
  });
  recorder.certified(a, certificate(40), at(10));
  await recorder.flush();
  await recorder.flush();
  assert.equal(await insight(), {
    subscriptions: [{ id: "other" }],
    mTLS: { ...known, ...renewed, certificateRegenerations: 4 },
  });
});

test("has the last rejection until the next certificate", async () => {
  const { recorder, insight } = await recording();
  recorder.refused(a, "no token", at(1));
  await recorder.flush();
  assert.equal((await insight())?.mTLS, { refusal: { time: text(1), reason: "no token" } });
  recorder.refused(a, "expired", at(2));
  recorder.trusting(a, "v1");
  await recorder.flush();
  assert.equal((await insight())?.mTLS?.refusal, { time: text(2), reason: "expired" });
  recorder.certified(a, certificate(30), at(3));
  await recorder.flush();
  assert.is((await insight())?.mTLS?.refusal, undefined);
  recorder.refused(a, "no token", at(4));
  recorder.certified(a, certificate(31), at(5));
  await recorder.flush();
  assert.is((await insight())?.mTLS?.refusal, undefined);
  recorder.certified(a, certificate(32), at(6));
  recorder.refused(a, "expired", at(7));
  await recorder.flush();
  assert.equal((await insight())?.mTLS?.refusal, { time: text(7), reason: "expired" });
});

test("is recorded for a proxy whose ADS stream is with another instance, without changing that stream", async () => {
  const { recorder, insight, store, writes } = await recordingWrites();
  const streams = [{ id: "theirs", controlPlaneInstanceId: "cp-alive", connectTime: text(1) }];
  await store.create({ ...insightKey, spec: { subscriptions: streams } });
  recorder.trusting(a, "v1");
  recorder.trusting({ ...a, name: "b" }, "v2");
  await recorder.flush();
  assert.equal(await insight(), { subscriptions: streams, mTLS: { trustedRoots: "v1" } });
  assert.equal(await insight("b"), { subscriptions: [], mTLS: { trustedRoots: "v2" } });
  await recorder.flush();
  recorder.rewrite();
  await recorder.flush();
  assert.equal(writes.sort(), ["a", "b"], "what was written is not kept in mind");
});

test("is dropped without a Dataplane: nothing is written, and nothing kept for later", async () => {
  const { recorder, insight, store, writes } = await recordingWrites();
  const stranger = { mesh: "default", name: "stranger" };
  recorder.certified(stranger, certificate(30), at(1));
  recorder.refused(stranger, "no token", at(2));
  await recorder.flush();
  recorder.refused({ mesh: "n", name: "a" }, "no token", at(2));
  await recorder.flush();
  assert.equal([writes, await store.list(dataplaneInsightType)], [[], []]);
  await store.create({ type: "Dataplane", ...stranger, spec: {} });
  recorder.trusting(stranger, "v1");
  await recorder.flush();
  assert.equal((await insight("stranger"))?.mTLS, { trustedRoots: "v1" });
});

test("is absent while nothing is known, also after a rejected write", async () => {
  let races = 2;
  const { recorder, insight } = await recordingWrites((_inner, all) => {
    races -= 1;
    return races < 0 ? undefined : conflicts(all);
  });
  recorder.opened({ ...a, id: "s-1", at: at(1) });
  for (let flushes = 0; flushes < 3; flushes++) await recorder.flush();
  assert.equal(Object.keys((await insight()) ?? {}), ["subscriptions"]);
});

test.run();
