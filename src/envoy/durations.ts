import { create } from "@bufbuild/protobuf";
import { type Duration, DurationSchema } from "@bufbuild/protobuf/wkt";
import { durationNanos } from "../resources/duration.js";

/** Milliseconds as Envoy takes them. */
export function duration(milliseconds: number): Duration {
  return create(DurationSchema, {
    seconds: BigInt(Math.floor(milliseconds / 1000)),
    nanos: (milliseconds % 1000) * 1_000_000,
  });
}

/** Rounded up: Envoy's clock has no less than that, and it refuses checks without a pause between them. */
export const milliseconds = (text: string | undefined): number =>
  Number(((durationNanos(text ?? "0s") ?? 0n) + 999_999n) / 1_000_000n);
