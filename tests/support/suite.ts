import { suite as uvuSuite } from "uvu";

/** How long one test may take before it counts as failed, in milliseconds. */
const testDeadlineMs = 60_000;

/**
 * A suite whose tests end by a deadline, so that one that waits for ever is a failure with a name.
 * Usage: `const test = suite("what it is about"); test("a sentence", async () => {…}); test.run();`
 */
export function suite(name: string) {
  const inner = uvuSuite(name);
  const test = (title: string, body: () => unknown) =>
    inner(title, async () => {
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
    await hook();
  };
  const before = (hook: Hook) => inner.before(awaited(hook));
  const after = (hook: Hook) => inner.after(awaited(hook));
  return Object.assign(test, {
    before: Object.assign(before, { each: (hook: Hook) => inner.before.each(awaited(hook)) }),
    after: Object.assign(after, { each: (hook: Hook) => inner.after.each(awaited(hook)) }),
    run: () => inner.run(),
  });
}
