import { type StreamLimitName, streamLimits } from "./limits.js";
import { addressKey } from "./waiting-room.js";

/** Counts open streams, in total and by address. */
export interface OpenStreams {
  /** Returns a function that releases the slot, or the name of the limit that was reached. */
  enter(address: string): (() => void) | StreamLimitName;
}

export function createOpenStreams(most: number, mostOfAddress: number): OpenStreams {
  const byAddress = new Map<string, number>();
  let open = 0;
  return {
    enter(address) {
      const key = addressKey(address);
      const count = byAddress.get(key) ?? 0;
      if (count >= mostOfAddress) return "streams_per_address";
      if (open >= most) return "streams";
      open += 1;
      byAddress.set(key, count + 1);
      return () => {
        open -= 1;
        const left = (byAddress.get(key) ?? 0) - 1;
        if (left > 0) byAddress.set(key, left);
        else byAddress.delete(key);
      };
    },
  };
}

/** The live bodies of all servers of this process. */
export const openStreams = createOpenStreams(streamLimits.streams.value, streamLimits.streams_per_address.value);
