import * as assert from "uvu/assert";
import { dataplaneCandidates } from "../../../src/policy/dataplane-candidates.js";
import { standings } from "../../../src/policy/ranking.js";
import { type ProxyTemplate, proxyTemplateType } from "../../../src/resources/proxy-template.js";
import { tableOf } from "../../../src/view/policies.js";
import { meshRecord, meshViewOf, stored } from "../../support/mesh-view.js";
import { suite } from "../../support/suite.js";

const test = suite("the ProxyTemplate of a proxy");

type Tags = Readonly<Record<string, string>>;

const web: Tags = { service: "web", version: "1", env: "dev" };
const metrics: Tags = { service: "metrics", zone: "a" };

/** Templates' selectors by name, and the names of those that match a proxy with the inbounds, the one it gets first. */
const cases: readonly (readonly [
  title: string,
  templates: Readonly<Record<string, readonly (Tags | undefined)[]>>,
  names: string,
  inbounds?: readonly Tags[],
])[] = [
  ["none", {}, ""],
  ["all tags equal on one inbound", { a: [{ service: "web" }] }, "a"],
  ["a tag of another value", { a: [{ service: "web", version: "2" }] }, ""],
  ["a tag that the inbound lacks", { a: [{ service: "web", zone: "a" }] }, ""],
  ["tags of two inbounds don't add up", { a: [{ service: "web", zone: "a" }] }, "", [web, metrics]],
  ["one of two inbounds is enough", { a: [{ service: "metrics" }] }, "a", [web, metrics]],
  ["without service", { a: [{ env: "dev" }] }, "a"],
  ["* stands for nothing", { a: [{ service: "*" }], b: [{ env: "*" }] }, ""],
  ["a tag with the name of an inherited property", { a: [{ constructor: "x" } as Tags] }, ""],
  ["no selectors match every proxy", { a: [] }, "a"],
  ["an empty one too", { a: [{}], b: [undefined] }, "a,b"],
  ["also for a proxy without inbounds", { a: [], b: [{ service: "web" }] }, "a", []],
  ["more tags win", { a: [{ service: "web" }], b: [{ env: "dev", version: "1" }], c: [] }, "b,a,c"],
  ["by the best of a template's selectors", { a: [{ service: "web" }], b: [{}, web] }, "b,a"],
  ["a selector that does not match counts nothing", { a: [{ service: "web" }], b: [{}, { ...web, x: "y" }] }, "a,b"],
  ["the name decides between equals", { c: [{ env: "dev" }], b: [{ service: "web" }], a: [] }, "b,c,a"],
];

for (const [title, templates, names, inbounds = [web]] of cases) {
  test(`${title}: ${names || "none"}`, () => {
    const records = Object.entries(templates).map(([name, all]) => {
      const selectors = all.map((match) => (match === undefined ? {} : { match }));
      return stored("ProxyTemplate", name, { selectors } satisfies ProxyTemplate);
    });
    const { policies } = meshViewOf(meshRecord(), ...records);
    const found = dataplaneCandidates(
      tableOf(policies, proxyTemplateType),
      inbounds.map((tags) => ({ tags })),
    );
    assert.is(found.map(({ policy }) => policy.name).join(), names);
  });
}

test("a candidate's standing says why it applies, or why it ranks below the one that applies", () => {
  const ranked = (...ranks: (readonly [exact: number, wildcard: number])[]) =>
    standings(ranks.map(([exact, wildcard]) => ({ policy: stored("TrafficRoute", "r"), rank: { exact, wildcard } })));
  assert.equal(ranked(), []);
  assert.equal(ranked([1, 0]), ["only"]);
  assert.equal(ranked([2, 1], [2, 0], [0, 2]), ["more-specific", "less-specific", "less-specific"]);
  assert.equal(ranked([2, 0], [1, 1], [0, 1]), ["more-exact", "less-exact", "less-specific"]);
  assert.equal(ranked([1, 1], [1, 1], [0, 2]), ["first-by-name", "later-by-name", "less-exact"]);
});

test.run();
