import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { violations } from "../../../scripts/arrows.mjs";
import { suite } from "../../support/suite.js";

const test = suite("the import arrows");

/** What the rule says of a tree that holds these files. */
async function check(files: Readonly<Record<string, string>>): Promise<string[]> {
  const source = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-arrows-"));
  try {
    for (const [name, text] of Object.entries(files)) {
      const file = path.join(source, name);
      fs.mkdirSync(path.dirname(file), { recursive: true });
      fs.writeFileSync(file, text);
    }
    return await violations(source);
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
  ["and nothing else of it", "view/a.ts", 'import { memory } from "../store/memory.js";\n', /"import type" is enough/],
  ["a pure room has no files", "policy/a.ts", 'import fs from "node:fs";\n', /may not import node:fs/],
  ["nor a clock", "resources/a.ts", "export const now = () => Date.now();\n", /resources may not use Date\.now/],
  ["nor chance", "envoy/a.ts", "export const x = Math.random();\n", /envoy may not use Math\.random/],
  ["nor timers", "policy/a.ts", "export const t = setTimeout(() => {}, 1);\n", /policy may not use setTimeout/],
  ["nor an environment", "view/a.ts", "export const e = process.env.HOME;\n", /view may not use process/],
  ["nor today's date", "view/a.ts", "export const d = new Date();\n", /view may not use new Date\(\)/],
  ["a date from a value is a value", "view/a.ts", "export const d = new Date(0);\n", undefined],
  [
    "words in texts, comments, types and names are no use of them",
    "view/a.ts",
    '// Date.now()\nexport const a = "process.env";\nexport type T = typeof process;\nexport const b = { fetch: 1 };\n',
    undefined,
  ],
  ["other rooms have a clock", "xds/a.ts", "export const now = () => Date.now();\n", undefined],
  ["content hashes are pure", "envoy/a.ts", 'import { shortHash } from "../lib/short-hash.js";\n', undefined],
  ["keys are not", "envoy/a.ts", 'import { randomBytes } from "node:crypto";\n', /belongs in lib/],
  ["nor anything of a server", "policy/a.ts", 'import { a } from "../net/a.js";\n', /no network/],
  ["net knows lib", "net/a.ts", 'import { a } from "../lib/a.js";\n', undefined],
  ["and nothing else", "net/a.ts", 'import { a } from "../resources/a.js";\n', /net may not import resources/],
  ["lib doesn't know net", "lib/a.ts", 'import { a } from "../net/a.js";\n', /lib may not import net/],
  ["a lazy import is an arrow", "cp/a.ts", 'const a = await import("../dp/a.js");\n', /cp may not import dp/],
  ["so is one for its effect", "view/a.ts", 'import "../xds/a.js";\n', /view may not import xds/],
  ["and passing on", "lib/a.ts", 'export * from "../cp/a.js";\n', /lib may not import cp/],
  ["an import in a comment is none", "lib/a.ts", '/**\n * import { a } from "../cp/a.js";\n */\n', undefined],
  ["the door is lazy", "main.ts", 'import { main } from "./cp/main.js";\n', /by import\(\)/],
  ["or lib", "main.ts", 'import { a } from "./lib/a.js";\nawait import("./cp/main.js");\n', undefined],
  ["an unknown room is a decision to be made", "misc/a.ts", "export {};\n", /not a room/],
];

for (const [what, file, text, expected] of cases) {
  test(what, async () => {
    const found = await check({ [file]: text });
    if (expected === undefined) assert.equal(found, []);
    else assert.match(found.join("\n"), expected);
  });
}

test("our own tree violates none", async () => {
  assert.equal(await violations(path.resolve("src")), []);
});

test.run();
