/** How often new connections succeed, as far as it is known. */
export type Outcome = "always" | "sometimes" | "never";

/** The combined outcome when each connection takes one of several ways; "never" without any. */
export function combineOutcomes(ways: readonly Outcome[]): Outcome {
  const [first = "never"] = ways;
  return ways.every((way) => way === first) ? first : "sometimes";
}
