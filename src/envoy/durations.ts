import { create } from "@bufbuild/protobuf";
import { type Duration, DurationSchema } from "@bufbuild/protobuf/wkt";
import { durationNanos } from "../resources/duration.js";

/** Converts milliseconds to a protobuf Duration. */
export function duration(milliseconds: number): Duration {
  return create(DurationSchema, {
    seconds: BigInt(Math.floor(milliseconds / 1000)),
    nanos: (milliseconds % 1000) * 1_000_000,
  });
}

/** Rounded up: Envoy's timers have millisecond resolution, and it rejects health checks with an interval of zero. */
export const milliseconds = (text: string | undefined): number =>
  Number(((durationNanos(text ?? "0s") ?? 0n) + 999_999n) / 1_000_000n);
