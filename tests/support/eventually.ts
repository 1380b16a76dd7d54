/**
 * Retries until `probe` neither throws nor returns false. At the deadline it throws the last failure, also when an
 * attempt hangs.
 */
export async function eventually<T>(
  what: string,
  probe: () => T | Promise<T>,
  // Costs nothing when the condition holds, and a machine that is busy with other work may be several times slower.
  deadlineMs = 60_000,
): Promise<NonNullable<Exclude<T, false>>> {
  const until = performance.now() + deadlineMs;
  let last: unknown = "it said no";
  let timer: NodeJS.Timeout | undefined;
  const hangs = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, deadlineMs, undefined);
  });
  try {
    while (performance.now() < until) {
      try {
        const result = await Promise.race([probe(), hangs]);
        if (result !== false && result !== undefined && result !== null)
          return result as NonNullable<Exclude<T, false>>;
      } catch (error) {
        last = error;
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  } finally {
    clearTimeout(timer);
  }
  throw new Error(
    `not within ${deadlineMs / 1000} s: ${what} (${last instanceof Error ? last.message : String(last)})`,
  );
}
