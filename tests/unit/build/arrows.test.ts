import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { violations } from "../../../scripts/arrows.mjs";
import { suite } from "../../support/suite.js";

const test = suite("the import arrows");

/** What the rule says of a tree that holds these files. */
function check(files: Readonly<Record<string, string>>): string[] {
  const source = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-arrows-"));
  try {
    for (const [name, text] of Object.entries(files)) {
      const file = path.join(source, name);
      fs.mkdirSync(path.dirname(file), { recursive: true });
      fs.writeFileSync(file, text);
    }
    return violations(source);
  } finally {
    fs.rmSync(source, { recursive: true, force: true });
  }
}

const cases: readonly [what: string, file: string, text: string, expected: RegExp | undefined][] = [
  ["a program may use what is below it", "cp/run.ts", 'import { a } from "../xds/a.js";\n', undefined],
  ["a room may use itself", "view/a.ts", 'import { b } from "./b.js";\n', undefined],
  ["programs don't know each other", "dp/a.ts", 'import { a } from "../ctl/a.js";\n', /dp may not import ctl/],
  [
    "what is below doesn't know what is above",
    "view/a.ts",
    'import { a } from "../envoy/a.js";\n',
    /view may not import envoy/,
  ],
  ["types obey as well", "lib/a.ts", 'import type { A } from "../resources/a.js";\n', /lib may not import resources/],
  [
    "an import over several lines counts",
    "lib/a.ts",
    'import {\n  a,\n} from "../cp/a.js";\n',
    /lib may not import cp/,
  ],
  ["the view knows the store's types", "view/a.ts", 'import type { Store } from "../store/store.js";\n', undefined],
  ["and nothing else of it", "view/a.ts", 'import { memory } from "../store/memory.js";\n', /only types of store/],
  ["a pure room has no files", "policy/a.ts", 'import fs from "node:fs";\n', /may not import node:fs/],
  ["nor a clock", "resources/a.ts", "export const now = () => Date.now();\n", /resources is pure/],
  ["nor chance", "envoy/a.ts", "export const x = Math.random();\n", /envoy is pure/],
  ["an unknown room is a decision to be made", "misc/a.ts", "export {};\n", /not a room/],
];

for (const [what, file, text, expected] of cases) {
  test(what, () => {
    const found = check({ [file]: text });
    if (expected === undefined) assert.equal(found, []);
    else assert.match(found.join("\n"), expected);
  });
}

test("our own tree breaks none", () => {
  assert.equal(violations(path.resolve("src")), []);
});

test.run();
