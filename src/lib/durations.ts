import { UserError } from "./errors.js";

const millisecondsPer: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

const part = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/gy;

/** Milliseconds from Go's syntax (`300ms`, `1m30s`, `1.5h`, `-2s`, `0`), which Kuma's settings and flags use. */
export function parseDuration(text: string): number {
  const sign = text.startsWith("-") ? -1 : 1;
  const digits = text.replace(/^[+-]/, "");
  if (digits === "0") return 0;
  let total = 0;
  let end = 0;
  for (const match of digits.matchAll(part)) {
    total += Number(match[1]) * (millisecondsPer[match[2] ?? ""] ?? Number.NaN);
    end = match.index + match[0].length;
  }
  if (digits === "" || end !== digits.length || !Number.isFinite(total)) {
    throw UserError.of("duration.invalid", { duration: text });
  }
  return sign * total;
}

/** A duration in Go's syntax, truncated to whole seconds and without days: `0s`, `45s`, `4m0s`, `50h0m1s`. */
export function formatDuration(milliseconds: number): string {
  const seconds = Math.trunc(milliseconds / 1000);
  if (seconds < 0) return `-${formatDuration(-milliseconds)}`;
  const h = Math.floor(seconds / 3600);
  const m = Math.floor((seconds % 3600) / 60);
  const s = seconds % 60;
  if (h > 0) return `${h}h${m}m${s}s`;
  return m > 0 ? `${m}m${s}s` : `${s}s`;
}
