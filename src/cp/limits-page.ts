import { reviewLimits } from "../kubernetes/token-review.js";
import { grpcLimits, type Limit } from "../net/grpc-limits.js";
import { streamLimits } from "../net/limits.js";
import { xdsLimits } from "../xds/limits.js";

function shown({ value, unit }: Limit): string {
  if (unit === "milliseconds") return `${value / 1000} s`;
  if (unit === "bytes" && value % 1024 === 0) {
    const kibibytes = value / 1024;
    return kibibytes % 1024 === 0 ? `${kibibytes / 1024} MiB` : `${kibibytes} KiB`;
  }
  return unit === "" ? String(value) : `${value} ${unit}`;
}

/** All limits of the xDS and SDS servers and of HTTP streams, as a Markdown table for README.md. */
export function limitsMarkdown(): string {
  const limits: Readonly<Record<string, Limit>> = { ...grpcLimits, ...xdsLimits, ...reviewLimits, ...streamLimits };
  const rows = Object.entries(limits).map(([name, limit]) => `| \`${name}\` | ${shown(limit)} | ${limit.sentence} |`);
  return ["| limit | value | what it bounds |", "|---|---|---|", ...rows].map((line) => `${line}\n`).join("");
}
