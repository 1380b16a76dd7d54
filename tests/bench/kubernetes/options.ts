import { parseArgs } from "node:util";
import { UsageError } from "../../support/usage-error.js";

export interface ClusterSize {
  readonly pods: number;
  readonly services: number;
  /** Pods that the rolling restart replaces. */
  readonly restarted: number;
}

const usage = "npm run bench:kubernetes -- [--pods N] [--services M] [--restarted R]";

const invalid = (option: string, text: string, right: string) =>
  new UsageError(`--${option} is "${text}", but has to be ${right}; usage: ${usage}`);

/** @throws UsageError for an option that is unknown or has no such value */
export function readOptions(args: readonly string[]): ClusterSize {
  let values: ReturnType<typeof parse>;
  function parse() {
    const text = (preset: string) => ({ type: "string", default: preset }) as const;
    return parseArgs({
      args: [...args],
      options: { pods: text("2000"), services: text("200"), restarted: text("200") },
    }).values;
  }
  try {
    values = parse();
  } catch (error) {
    throw new UsageError(`${(error as Error).message}; usage: ${usage}`);
  }
  const whole = (option: keyof typeof values, most: number): number => {
    const text = values[option];
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= 1 && value <= most) return value;
    throw invalid(option, text, `a whole number from 1 to ${most}`);
  };
  // Addresses of pods are numbered in 10.128.0.0/9, those of Services come from a /16.
  const pods = whole("pods", 100_000);
  return {
    pods,
    services: whole("services", Math.min(pods, 5_000)),
    restarted: Math.min(whole("restarted", 100_000), pods),
  };
}
