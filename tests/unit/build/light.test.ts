import * as assert from "uvu/assert";
import { assertLight } from "../../../scripts/light.mjs";
import { suite } from "../../support/suite.js";

const test = suite("a bundle whose programs load what they need");

const lazily = (path: string) => ({ path, kind: "dynamic-import" });
const atOnce = (path: string) => ({ path, kind: "import-statement" });
const file = (...imports: readonly { readonly path: string; readonly kind: string }[]) => ({ imports });

/** As esbuild tells of it: a door, a program and the stores. */
const bundle = {
  "src/main.ts": file(lazily("src/ctl/main.ts"), atOnce("src/lib/cli.ts")),
  "src/lib/cli.ts": file(),
  "src/ctl/main.ts": file(lazily("src/store/kinds.ts")),
  "src/store/kinds.ts": file(atOnce("src/store/postgres/kind.ts")),
  "src/store/postgres/kind.ts": file(lazily("src/store/postgres/open.ts")),
  "src/store/postgres/open.ts": file(atOnce("node_modules/postgres/src/index.js")),
};

const cases: readonly [title: string, changed: Partial<Record<keyof typeof bundle, unknown>>, refusal: RegExp][] = [
  [
    "a store that is opened by a static import",
    { "src/store/postgres/kind.ts": file(atOnce("src/store/postgres/open.ts")) },
    /the list of stores would load node_modules\/postgres\/src\/index\.js, through src\/store\/postgres\/open\.ts/,
  ],
  [
    "a light program that comes to a heavy package",
    { "src/ctl/main.ts": file(lazily("node_modules/@grpc/grpc-js/build/src/index.js")) },
    /src\/ctl\/main\.ts reaches node_modules\/@grpc/,
  ],
  ["a program that every other loads", { "src/main.ts": file(atOnce("src/ctl/main.ts")) }, /import it lazily/],
];

test("is taken", () => {
  assertLight({ inputs: bundle });
});

for (const [title, changed, refusal] of cases) {
  test(`is refused: ${title}`, () => {
    assert.throws(() => assertLight({ inputs: { ...bundle, ...changed } }), refusal);
  });
}

test.run();
