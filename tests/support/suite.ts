import fs from "node:fs";
import path from "node:path";
import { suite as uvuSuite } from "uvu";
import { hasPostgres } from "./postgres-package.js";

/** How long one test may take before it counts as failed, in milliseconds. */
const testDeadlineMs = 60_000;

type Need = "envoy" | "postgres";

const found: Readonly<Record<Need, () => boolean>> = {
  envoy: () => fs.existsSync(path.join(process.env.KUMA_BIN ?? "dist/bin", "envoy")),
  postgres: () => hasPostgres,
};
const lacking: Readonly<Record<Need, string>> = {
  envoy: "needs Envoy, and the build found none",
  postgres: "needs PostgreSQL, of which npm installed none for this platform",
};

/**
 * A suite whose tests end by a deadline, so that one that waits for ever is a failure with a name.
 * Usage: `const test = suite("what it is about"); test("a sentence", async () => {…}); test.run();`
 * Its tests are skipped where something that it needs is not to be had; in CI that counts as a failure.
 */
export function suite(name: string, { needs = [] }: { readonly needs?: Need | readonly Need[] } = {}) {
  const inner = uvuSuite(name);
  const missing = [needs].flat().filter((need) => !found[need]());
  const skipped = missing.length > 0;
  for (const need of missing) console.log(`skipped: "${name}" ${lacking[need]}`);
  const test = (title: string, body: () => unknown) =>
    (skipped ? inner.skip : inner)(title, async () => {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<never>((_resolve, reject) => {
        timer = setTimeout(() => reject(new Error(`not done after ${testDeadlineMs / 1000} s`)), testDeadlineMs);
      });
      try {
        await Promise.race([Promise.resolve().then(body), late]);
      } finally {
        clearTimeout(timer);
      }
    });
  type Hook = () => unknown;
  const awaited = (hook: Hook) => async () => {
    if (skipped) return;
    try {
      await hook();
    } catch (error) {
      // uvu counts the tests that did not run, but keeps to itself why.
      console.error(`\na hook of "${name}" failed:`, error);
      throw error;
    }
  };
  const before = (hook: Hook) => inner.before(awaited(hook));
  const after = (hook: Hook) => inner.after(awaited(hook));
  return Object.assign(test, {
    before: Object.assign(before, { each: (hook: Hook) => inner.before.each(awaited(hook)) }),
    after: Object.assign(after, { each: (hook: Hook) => inner.after.each(awaited(hook)) }),
    run: () => inner.run(),
  });
}
