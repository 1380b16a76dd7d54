import * as assert from "uvu/assert";
import {
  type AuthorityDocument,
  beginRotation,
  decodeDocument,
  encodeDocument,
  newDocument,
  retireRoots,
  switchSigning,
  withLife,
} from "../../../src/identity/authority-document.js";
import { suite } from "../../support/suite.js";
import { day, refusal } from "./stage.js";

const test = suite("the document of a mesh's certificate authority");

const root = (name: string) => ({ cert: `cert of ${name}`, key: `key of ${name}` });
const now = new Date("2026-01-01T00:00:00.000Z");
const later = (milliseconds: number) => new Date(now.getTime() + milliseconds).toISOString();

/** The names of a document's roots, in their order. */
const roots = (document: AuthorityDocument) =>
  document.roots.map(({ cert }) => Buffer.from(cert, "base64").toString().replace("cert of ", "")).join(" ");

test("a new one has one root, in base64, and the validity of certificates", () => {
  const document = newDocument(root("a"), day);
  assert.is(roots(document), "a");
  assert.equal([document.rotation, document.longestLifeMs], [undefined, day]);
  assert.is(Buffer.from(document.roots[0]?.key ?? "", "base64").toString(), "key of a");
  assert.equal(decodeDocument(encodeDocument(document)), document);
});

test("a rotation adds a root that signs once it is switched to, and then leaves that one alone", () => {
  const begun = beginRotation(newDocument(root("a"), day), root("b"), now);
  assert.is(roots(begun), "a b");
  assert.equal(begun.rotation, { state: "distributing", since: later(0) });
  const switched = switchSigning(begun, day, now);
  assert.is(roots(switched), "b a");
  assert.equal(switched.rotation, { state: "retiring", until: later(day + 60_000) });
  const retired = retireRoots(switched);
  assert.is(roots(retired), "b");
  assert.equal(Object.keys(retired).sort(), ["longestLifeMs", "roots"]);
});

test("further trusted roots stay trusted in their order until the others retire", () => {
  const document = {
    ...newDocument(root("a"), day),
    roots: ["a", "x", "y"].map((name) => newDocument(root(name), day)).flatMap(({ roots: one }) => one),
  };
  const begun = beginRotation(document, root("b"), now);
  assert.is(roots(begun), "a x y b");
  assert.is(roots(switchSigning(begun, day, now)), "b a x y");
});

const lives: readonly (readonly [title: string, longest: number | undefined, present: number, wait: number])[] = [
  ["the present life", day, day, day + 60_000],
  ["a longer one that certificates once had", 90 * day, day, 90 * day + 60_000],
  ["a longer one that certificates have by now", day, 90 * day, 90 * day + 60_000],
  ["the present life where an older version noted none", undefined, day, day + 60_000],
  ["lives of seconds, twice: clocks have to be better than a minute there", 4000, 4000, 8000],
];

for (const [title, longest, present, wait] of lives) {
  test(`old roots stay trusted for ${title}`, () => {
    const { longestLifeMs: _none, ...bare } = newDocument(root("a"), day);
    const document = longest === undefined ? bare : { ...bare, longestLifeMs: longest };
    const { rotation } = switchSigning(beginRotation(document, root("b"), now), present, now);
    assert.equal(rotation, { state: "retiring", until: later(wait) });
  });
}

test("one rotation at a time", async () => {
  const begun = beginRotation(newDocument(root("a"), day), root("b"), now);
  for (const running of [begun, switchSigning(begun, day, now)]) {
    assert.is((await refusal(() => beginRotation(running, root("c"), now))).id, "rotation.running");
  }
});

test("the longest validity only grows", () => {
  const document = newDocument(root("a"), day);
  assert.is(withLife(document, day), undefined);
  assert.is(withLife(document, day - 1), undefined);
  assert.is(withLife(document, day + 1)?.longestLifeMs, day + 1);
  const { longestLifeMs: _none, ...bare } = document;
  assert.is(withLife(bare, 1)?.longestLifeMs, 1);
});

test("unknown members of other versions are kept through every step", () => {
  const foreign = { ...newDocument(root("a"), day), later: { x: 1 } } as AuthorityDocument;
  const begun = decodeDocument(encodeDocument(beginRotation(foreign, root("b"), now)));
  const switched = decodeDocument(encodeDocument(switchSigning(begun, day, now)));
  for (const document of [begun, switched, retireRoots(switched), withLife(switched, 2 * day)]) {
    assert.equal(document && Reflect.get(document, "later"), { x: 1 });
  }
});

const broken: readonly (readonly [document: object, field: string, problem: string])[] = [
  [{ rotation: null }, "rotation", 'has to be {"state": …}'],
  [{ rotation: "distributing" }, "rotation", 'has to be {"state": …}'],
  [{ rotation: {} }, "rotation.state", 'has to be "distributing" or "retiring"'],
  [{ rotation: { state: "Retiring" } }, "rotation.state", 'has to be "distributing" or "retiring"'],
  [{ rotation: { state: "retiring" } }, "rotation.until", "has to be a time, as 2006-01-02T15:04:05Z"],
  [{ rotation: { state: "retiring", until: "soon" } }, "rotation.until", "has to be a time, as 2006-01-02T15:04:05Z"],
  [{ rotation: { state: "retiring", until: 7 } }, "rotation.until", "has to be a time, as 2006-01-02T15:04:05Z"],
  [{ longestLifeMs: "30d" }, "longestLifeMs", "has to be a number of milliseconds"],
  [{ longestLifeMs: null }, "longestLifeMs", "has to be a number of milliseconds"],
  [{ longestLifeMs: -1 }, "longestLifeMs", "has to be a number of milliseconds"],
];

for (const [document, field, problem] of broken) {
  test(`an invalid document is rejected with the field: ${JSON.stringify(document)}`, async () => {
    const value = Buffer.from(JSON.stringify({ ...newDocument(root("a"), day), ...document })).toString("base64");
    const { id, message, causes } = await refusal(() => decodeDocument(value));
    assert.is(id, "authority.unusable");
    assert.is(message, `the certificate authority is unusable: ${field} ${problem}`);
    assert.equal(causes, [{ field, message: problem }]);
  });
}

test.run();
