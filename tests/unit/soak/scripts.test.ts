import fs from "node:fs";
import * as assert from "uvu/assert";
import { suite } from "../../support/suite.js";

const test = suite("the long checks in package.json");

const { scripts } = JSON.parse(fs.readFileSync("package.json", "utf8")) as { scripts: Record<string, string> };
const named = Object.keys(scripts).flatMap((script) => (script.startsWith("soak:") ? [script.slice(5)] : []));
const present = fs.readdirSync("tests/soak").flatMap((file) => (file.endsWith(".ts") ? [file.slice(0, -3)] : []));

test("are those in tests/soak", () => {
  assert.ok(named.length > 0);
  assert.equal(named.toSorted(), present.toSorted());
});

for (const name of named) {
  test(`soak:${name} has the form of all, and a short one in npm test`, () => {
    assert.is(scripts[`soak:${name}`], `node scripts/soak.mjs ${name}`);
    assert.match(fs.readFileSync(`tests/soak/${name}.ts`, "utf8"), /^await soakMain\(/m);
    const short = `tests/system/soak-${name}.test.ts`;
    assert.ok(fs.existsSync(short), `${short} is missing`);
    assert.match(fs.readFileSync(short, "utf8"), "soak/");
  });
}

test.run();
