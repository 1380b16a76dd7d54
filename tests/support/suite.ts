import fs from "node:fs";
import path from "node:path";
import { suite as uvuSuite } from "uvu";
import { findHelm } from "../../scripts/kubernetes/helm.mjs";
import { lackOfKubernetes, skippedForKubernetes } from "./kubernetes-need.js";
import { hasPostgres } from "./postgres-package.js";

/** How long one test may take before it fails, in milliseconds. */
const testDeadlineMs = 60_000;

/**
 * Requirements of a suite besides Node: the build's Envoy, npm's PostgreSQL, a Kubernetes cluster, Helm, a user, or a
 * program in PATH.
 */
function has(need: string): boolean {
  if (need === "root") return process.getuid?.() === 0;
  if (need === "postgres") return hasPostgres;
  if (need === "kubernetes") return lackOfKubernetes() === undefined;
  if (need === "helm") return findHelm() !== undefined;
  const places =
    need === "envoy" ? [process.env.KUMA_BIN ?? "dist/bin"] : (process.env.PATH ?? "").split(path.delimiter);
  return places.some((place) => fs.existsSync(path.join(place, need)));
}

/**
 * A suite whose tests have a deadline, so that a test that hangs is a failure with a name.
 * Usage: `const test = suite("what it is about"); test("a sentence", async () => {…}); test.run();`
 * With `needs`, one requirement or a list, the tests are skipped when one is not met; in CI that counts as a failure,
 * except as `missingClusterFailsCi` says.
 */
export function suite(name: string, { needs = [] }: { readonly needs?: string | readonly string[] } = {}) {
  const inner = uvuSuite(name);
  const lacking = [needs].flat().filter((need) => !has(need));
  const skipped = lacking.length > 0;
  if (skipped) console.log(`skipped: "${name}" needs ${lacking.join(", ")}, which is not here`);
  const onlyKubernetes = skipped && lacking.every((need) => need === "kubernetes" || need === "helm");
  if (onlyKubernetes) console.log(lackOfKubernetes() ?? "Helm was not built (npm run kubernetes:build)");
  const test = (title: string, body: () => unknown) => {
    if (onlyKubernetes) skippedForKubernetes.tests++;
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
  };
  type Hook = () => unknown;
  const awaited = (hook: Hook) => async () => {
    if (skipped) return;
    try {
      await hook();
    } catch (error) {
      // uvu counts the tests that did not run, but does not say why.
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
