import * as assert from "uvu/assert";
import { KubeError } from "../../../src/kubeapi/error.js";
import type { KubeObject } from "../../../src/kubeapi/object.js";
import { createTokenReviewer, reviewLimits } from "../../../src/kubernetes/token-review.js";
import { createFakeTime } from "../../support/fake-time.js";
import { suite } from "../../support/suite.js";

const test = suite("the review of ServiceAccount tokens");

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
const expires = 1_800_000_000;
const tokenOf = (id: number | string) => `${encode({ alg: "RS256" })}.${encode({ id, exp: expires })}.c2ln`;
const token = tokenOf(1);
const proxy = { mesh: "default", name: "p1.demo" };

/** As an API server of version 1.37 answers. */
const status = (more: object = {}) => ({
  apiVersion: "authentication.k8s.io/v1",
  kind: "TokenReview",
  metadata: {},
  spec: { token, audiences: ["kuma"] },
  status: {
    authenticated: true,
    audiences: ["kuma"],
    user: {
      username: "system:serviceaccount:demo:default",
      uid: "a",
      groups: ["system:serviceaccounts", "system:serviceaccounts:demo", "system:authenticated"],
      extra: {
        "authentication.kubernetes.io/pod-name": ["p1"],
        "authentication.kubernetes.io/pod-uid": ["u1"],
      },
    },
    ...more,
  },
});

const owner = { apiVersion: "v1", kind: "Pod", name: "p1", uid: "u1", controller: true };
const dataplane: KubeObject = {
  apiVersion: "kuma.io/v1alpha1",
  kind: "Dataplane",
  mesh: "default",
  metadata: { namespace: "demo", name: "p1", ownerReferences: [owner] },
};

/** A reviewer whose API server gives these recorded answers. */
function stage(answer: unknown = status(), found: KubeObject | undefined = dataplane) {
  const time = createFakeTime();
  const asked: unknown[] = [];
  const refusals: string[] = [];
  const review = createTokenReviewer({
    client: {
      async request(_method, _path, body) {
        asked.push(body);
        if (answer instanceof Error) throw answer;
        return answer;
      },
      get: async (_collection, name) => (found?.metadata.name === name ? found : undefined),
    },
    incidents: { refused: (limit) => refusals.push(limit) },
    timers: time.timers,
  });
  return { time, asked, refusals, review };
}

async function reasonOf(answer: unknown, found?: KubeObject | undefined): Promise<string> {
  const result = await stage(answer, found).review(token, proxy);
  return result.kind === "refused" ? result.reason.replace("authentication failed: ", "") : result.kind;
}

const asUser = (username: unknown, extra: object = {}) => status({ user: { username, extra } });

test("a token of the proxy's own pod is accepted until it expires", async () => {
  const { review, asked } = stage();
  assert.equal(await review(token, proxy), { kind: "accepted", until: new Date(expires * 1_000) });
  assert.equal(asked, [
    { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token, audiences: ["kuma"] } },
  ]);
});

test("whatever is missing or of another form in the answer refuses", async () => {
  const invalid = "token doesn't belong to a valid user";
  assert.is(await reasonOf(status({ authenticated: undefined, error: "invalid bearer token" })), invalid);
  assert.is(await reasonOf(status({ authenticated: "true" })), invalid);
  assert.is(await reasonOf({}), invalid);
  assert.match(await reasonOf([]), "call to TokenReview API failed");
  assert.is(await reasonOf(status({ audiences: undefined })), 'token is not for the audience "kuma"');
  assert.is(
    await reasonOf(status({ audiences: ["https://kubernetes.default.svc"] })),
    'token is not for the audience "kuma"',
  );
  assert.is(await reasonOf(asUser("alice")), 'username inside TokenReview response has unexpected format: "alice"');
  assert.is(await reasonOf(asUser(undefined)), 'username inside TokenReview response has unexpected format: ""');
  assert.is(
    await reasonOf(asUser("system:node:a:b")),
    'token must belong to a k8s system account, got "system:node:a:b"',
  );
  const several = { "authentication.kubernetes.io/pod-name": ["p1", "p2"] };
  assert.match(await reasonOf(asUser("system:serviceaccount:demo:default", several)), 'bound to the pod ""');
});

test("an error of the API server refuses, and does not show what the API server said", async () => {
  const reason = await reasonOf(new KubeError(403, `forbidden: ${token}`));
  assert.is(reason, "call to TokenReview API failed (status 403)");
  assert.is(await reasonOf(new Error("a bug")), "call to TokenReview API failed (no answer)");
});

test("the Dataplane has to be the proxy's, and has to belong to the pod that the token is bound to", async () => {
  const missing = 'unable to find Dataplane for proxy "default.p1.demo"';
  assert.is(await reasonOf(status(), { ...dataplane, mesh: "other" }), missing);
  assert.is(await reasonOf(status(), { ...dataplane, metadata: { ...dataplane.metadata, name: "p2" } }), missing);
  const owned = (ownerReferences: (typeof owner)[]) => ({
    ...dataplane,
    metadata: { ...dataplane.metadata, ownerReferences },
  });
  assert.match(await reasonOf(status(), owned([])), "token is bound to another pod");
  assert.match(await reasonOf(status(), owned([{ ...owner, uid: "u0" }])), "token is bound to another pod");
  assert.match(await reasonOf(status(), owned([{ ...owner, kind: "ConfigMap" }])), "token is bound to another pod");
});

test("the name of a proxy without a namespace is refused", async () => {
  const { review, time } = stage();
  for (const name of ["p1", "p1.", ".demo", ""]) {
    const result = await review(token, { mesh: "default", name });
    assert.is(result.kind, "refused", name);
    time.pass(50);
  }
});

test("texts that are no token cost no request", async () => {
  const { review, asked } = stage();
  for (const text of [
    undefined,
    "",
    "  ",
    "Bearer ",
    "garbage",
    "a.b",
    "a.b.c.d",
    "a..c",
    `${"x".repeat(20_000)}.b.c`,
  ]) {
    assert.is((await review(text, proxy)).kind, "refused", text);
  }
  assert.equal(asked, []);
});

test("an accepted token is not reviewed again for ten seconds, for the same proxy only", async () => {
  const { review, asked, time } = stage();
  await review(token, proxy);
  await review(`Bearer ${token}`, proxy);
  assert.is(asked.length, 1);
  time.pass(9_999);
  await review(token, proxy);
  assert.is(asked.length, 1);
  assert.is((await review(token, { mesh: "default", name: "p2.demo" })).kind, "refused");
  assert.is(asked.length, 2);
  time.pass(1);
  const again = review(token, proxy);
  time.pass(50);
  await again;
  assert.is(asked.length, 3);
});

test("a refused token is reviewed again each time, and streams that ask at the same time share one review", async () => {
  const { review, asked, time } = stage(status({ authenticated: false }));
  await Promise.all(Array.from({ length: 10 }, () => review(token, proxy)));
  assert.is(asked.length, 1);
  time.pass(1_000);
  await review(token, proxy);
  assert.is(asked.length, 2);
});

test("twenty reviews begin in a second; more wait, and beyond the limit are refused at once and counted", async () => {
  const { review, asked, refusals, time } = stage();
  const results: string[] = [];
  const most = 1 + reviewLimits.token_reviews.value;
  for (let id = 0; id < most + 5; id++) void review(tokenOf(id), proxy).then(({ kind }) => results.push(kind));
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  await settle();
  assert.equal(results.sort(), ["accepted", ...Array.from({ length: 5 }, () => "refused")]);
  assert.equal(
    refusals,
    Array.from({ length: 5 }, () => "token_reviews"),
  );
  for (let tick = 0; tick < 20; tick++) {
    time.pass(50);
    await settle();
  }
  assert.is(asked.length, 21);
  time.pass(60_000);
  await settle();
  await settle();
  assert.is(asked.length, most);
});

test.run();
