const nanosPer: ReadonlyMap<string, bigint> = new Map([
  ["ns", 1n],
  ["us", 1_000n],
  ["µs", 1_000n],
  ["μs", 1_000n],
  ["ms", 1_000_000n],
  ["s", 1_000_000_000n],
  ["m", 60_000_000_000n],
  ["h", 3_600_000_000_000n],
]);
const nanosPerSecond = 1_000_000_000n;

/** The range of protobuf's Duration: about 10,000 years either way. */
const longest = 315_576_000_000n * nanosPerSecond;

const longestText = 64;
const part = /(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)/gy;

/** Nanoseconds of a duration in Go's syntax ("10s", "0.5s", "1m30s", "-2s", "0"), or undefined if invalid. */
export function durationNanos(text: string): bigint | undefined {
  if (text.length > longestText) return undefined;
  const signed = text.startsWith("-") || text.startsWith("+");
  const magnitude = signed ? text.slice(1) : text;
  if (magnitude === "0") return 0n;
  let total = 0n;
  let end = 0;
  for (const [whole, integer = "", fraction = "", unit = ""] of magnitude.matchAll(part)) {
    const nanos = nanosPer.get(unit);
    if (nanos === undefined || (integer === "" && fraction === "")) return undefined;
    total += BigInt(integer) * nanos + (BigInt(fraction) * nanos) / 10n ** BigInt(fraction.length);
    end += whole.length;
  }
  if (magnitude === "" || end !== magnitude.length) return undefined;
  return text.startsWith("-") ? -total : total;
}

/** Decimals in groups of three, as protobuf prints them; "" when there are none. */
export function decimals(nanos: string): string {
  const needed = nanos.padEnd(9, "0").replace(/(?:000){1,3}$/, "");
  return needed === "" ? "" : `.${needed}`;
}

/** Whether it fits into protobuf's Duration. */
const inRange = (nanos: bigint): boolean => nanos <= longest && nanos >= -longest;

/** The duration in proto3 JSON; the text itself if out of range, undefined if invalid. */
export function normalDuration(text: string): string | undefined {
  const nanos = durationNanos(text);
  if (nanos === undefined || !inRange(nanos)) return nanos === undefined ? undefined : text;
  const magnitude = nanos < 0n ? -nanos : nanos;
  const fraction = String(magnitude % nanosPerSecond).padStart(9, "0");
  return `${nanos < 0n ? "-" : ""}${magnitude / nanosPerSecond}${decimals(fraction)}s`;
}
