/** What new connections experience, as far as it is known. */
export type Outcome = "always" | "sometimes" | "never";

/** What they experience when each takes one of several ways; without any they never get through. */
export function together(ways: readonly Outcome[]): Outcome {
  const [first = "never"] = ways;
  return ways.every((way) => way === first) ? first : "sometimes";
}
