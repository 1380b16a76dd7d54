/** Retries until `probe` neither throws nor returns false. At the deadline it throws the last failure. */
export async function eventually<T>(
  what: string,
  probe: () => T | Promise<T>,
  // Generous, because a machine that runs other work beside the tests starts processes slowly.
  deadlineMs = 30_000,
): Promise<NonNullable<Exclude<T, false>>> {
  const until = performance.now() + deadlineMs;
  let last: unknown = "it said no";
  while (performance.now() < until) {
    try {
      const result = await probe();
      if (result !== false && result !== undefined && result !== null) return result as NonNullable<Exclude<T, false>>;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(
    `not within ${deadlineMs / 1000} s: ${what} (${last instanceof Error ? last.message : String(last)})`,
  );
}
