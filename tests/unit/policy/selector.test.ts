import * as assert from "uvu/assert";
import {
  addRanks,
  bestMatch,
  compareRanks,
  type Match,
  matchesDataplane,
  matchesService,
  matchesTags,
  rankOf,
} from "../../../src/policy/selector.js";
import { suite } from "../../support/suite.js";

const test = suite("selectors");

const proto = (value: string): Record<string, string> => JSON.parse(`{"__proto__":"${value}"}`);

const matches: readonly [match: Match, tags: Match, result: boolean][] = [
  [undefined, undefined, true],
  [undefined, { service: "web" }, true],
  [{}, undefined, true],
  [{}, { service: "web" }, true],
  [{ service: "web" }, { service: "web" }, true],
  [{ service: "web" }, { service: "web", version: "1" }, true],
  [{ service: "web" }, { service: "api" }, false],
  [{ service: "web" }, {}, false],
  [{ service: "web" }, undefined, false],
  [{ service: "*" }, { service: "web" }, true],
  [{ service: "*" }, { version: "1" }, false],
  [{ service: "web", version: "1" }, { service: "web", version: "1" }, true],
  [{ service: "web", version: "1" }, { service: "web", version: "2" }, false],
  [{ service: "web", version: "*" }, { service: "web" }, false],
  [{ service: "" }, { service: "web" }, false],
  [{ constructor: "*" } as unknown as Match, { service: "web" }, false],
  [{ toString: "x" } as unknown as Match, { toString: "x" } as unknown as Match, true],
  [proto("*"), { service: "web" }, false],
  [proto("a"), proto("a"), true],
  [proto("a"), proto("b"), false],
];

for (const [match, tags, result] of matches) {
  test(`${JSON.stringify(match)} ${result ? "matches" : "does not match"} ${JSON.stringify(tags)}`, () => {
    assert.is(matchesTags(match, tags), result);
  });
}

const dataplane = {
  networking: { inbound: [{ tags: { service: "web", version: "1" } }, { tags: { service: "api", version: "2" } }, {}] },
};

test("a Dataplane matches by one inbound on its own", () => {
  assert.is(matchesDataplane({ service: "web", version: "1" }, dataplane), true);
  assert.is(matchesDataplane({ service: "api" }, dataplane), true);
  assert.is(matchesDataplane({ service: "web", version: "2" }, dataplane), false);
  assert.is(matchesDataplane({ service: "web" }, {}), false);
});

test("no tags match every Dataplane, even one without inbounds", () => {
  assert.is(matchesDataplane({}, {}), true);
  assert.is(matchesDataplane(undefined, dataplane), true);
});

const services: readonly [match: Match, result: boolean][] = [
  [{ service: "web" }, true],
  [{ service: "*" }, true],
  [{ service: "api" }, false],
  [{ service: "web", env: "dev" }, true],
  [{ service: "*", env: "dev" }, true],
  [{ env: "dev" }, false],
  [{}, false],
  [undefined, false],
];

for (const [match, result] of services) {
  test(`destination ${JSON.stringify(match)} ${result ? "matches" : "does not match"} the service web`, () => {
    assert.is(matchesService(match, "web"), result);
  });
}

/** From the most specific to the least. */
const ranked: readonly Match[] = [
  { service: "web", version: "1", region: "eu" },
  { service: "web", version: "1", region: "*" },
  { service: "web", version: "1" },
  { service: "web", region: "*" },
  { service: "*", region: "*" },
  { service: "web" },
  { service: "*" },
  {},
];

test("more tags outrank fewer, and exact values outrank wildcards", () => {
  ranked.forEach((higher, index) => {
    for (const lower of ranked.slice(index + 1)) {
      assert.ok(compareRanks(rankOf(higher), rankOf(lower)) > 0);
      assert.ok(compareRanks(rankOf(lower), rankOf(higher)) < 0);
    }
    assert.is(compareRanks(rankOf(higher), rankOf(higher)), 0);
  });
  assert.equal(rankOf(undefined), { exact: 0, wildcard: 0 });
});

test("the ranks of a source and a destination add up part by part", () => {
  assert.equal(addRanks(rankOf({ service: "a", x: "*" }), rankOf({ service: "*" })), { exact: 1, wildcard: 2 });
});

test("the best match is the most specific selector that matches, and the first of equally specific ones", () => {
  const selectors = [
    { match: { service: "*" } },
    { match: { service: "web" } },
    { match: { service: "api" } },
    { match: { service: "api", version: "9" } },
    {},
  ];
  assert.equal(
    bestMatch(selectors, (match) => matchesDataplane(match, dataplane)),
    { match: { service: "web" }, rank: { exact: 1, wildcard: 0 } },
  );
  assert.is(
    bestMatch(selectors, () => false),
    undefined,
  );
});

test.run();
