import fs from "node:fs";
import * as assert from "uvu/assert";
import { generate } from "../../../src/envoy/generate.js";
import { logFormatProblem, unknownOperator } from "../../../src/resources/log-format.js";
import type { Stored } from "../../../src/store/store.js";
import { configJson } from "../../support/envoy-json.js";
import { readMeshFile } from "../../support/mesh-file.js";
import { dataplane, meshViewOf } from "../../support/mesh-view.js";
import { codeBlocks, shellBlocks } from "../../support/readme.js";
import { suite } from "../../support/suite.js";

const test = suite("the README's policies");

/** The fields that a shell block adds to the Mesh "default". */
const additions = shellBlocks("Policies").flatMap((block) => {
  const added = /^\(kumactl get mesh default -o yaml; cat <<'END'\n([\s\S]*?)^END$/m.exec(block)?.[1];
  return added === undefined ? [] : [`type: Mesh\nname: default\n${added}`];
});

const documented = [...additions, ...codeBlocks("Policies", "yaml")]
  .flatMap(readMeshFile)
  .map((stored) => ({ ...stored, mesh: "m", name: stored.type === "Mesh" ? "m" : stored.name }));
const isMesh = ({ type }: Stored) => type === "Mesh";
const policies = documented.filter((stored) => !isMesh(stored));

const backend = dataplane("backend-1", {
  inbound: [{ interface: "127.0.0.1:8000:80", tags: { service: "backend" } }],
  outbound: [{ interface: ":10000", service: "redis" }],
});

function configWith(...resources: readonly Stored[]): string {
  const mesh = meshViewOf(backend, ...documented.filter(isMesh), ...resources);
  const proxy = mesh.proxies.get("backend-1");
  if (proxy === undefined) throw new Error("the proxy is missing");
  const { config, ignored } = generate(proxy, mesh, { connectTimeoutMs: 5000, secretServer: undefined });
  assert.equal(ignored, []);
  return JSON.stringify(configJson(config));
}

test("include one of each type without a section of its own", () => {
  assert.equal(policies.map(({ type }) => type).sort(), ["HealthCheck", "ProxyTemplate", "TrafficLog", "TrafficRoute"]);
});

for (const policy of policies) {
  test(`${policy.type} is valid and takes effect`, () => assert.is.not(configWith(policy), configWith()));
}

test("every documented operator exists in Envoy", () => {
  const [, section = ""] = /^## Policies$([\s\S]*?)^## /m.exec(fs.readFileSync("README.md", "utf8")) ?? [];
  const named = [...section.matchAll(/`(%[A-Z_]+(?:\([^)]*\))?%)`/g)].map(([, operator = ""]) => operator);
  assert.ok(named.length > 15);
  for (const operator of named) assert.is(unknownOperator(operator) ?? logFormatProblem(operator), undefined, operator);
});

test.run();
