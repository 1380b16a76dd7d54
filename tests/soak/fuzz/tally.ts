import type { Figures } from "../form/soak.js";
import type { FloodFigures } from "./battle.js";
import { percentile } from "./readiness.js";

/** The figures of a run of the fuzzer, over all its stages. */
export interface Tally {
  /** How often the bare server did not survive a flood. */
  bareEnds: number;
  add(flood: FloodFigures, ready: readonly number[], bareReady: readonly number[]): void;
  /** Resident memory when idle, 0 if it never became idle, and at its peak, in bytes. */
  rest(memory: number, peak: number): void;
  figures(): Figures;
}

const milliseconds = (ms: number) => `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
const megabytes = (bytes: number) => `${Math.round(bytes / 1e6)} MB`;

export function createTally(): Tally {
  const total: FloodFigures = { connections: 0, refused: 0, bytes: 0, received: 0, responses: 0 };
  /** The 90th percentile of each flood. */
  const ours: number[] = [];
  const bare: number[] = [];
  let worst = 0;
  let atRest = 0;
  let peak = 0;
  return {
    bareEnds: 0,
    add(flood, ready, bareReady) {
      for (const key of Object.keys(total) as (keyof FloodFigures)[]) total[key] += flood[key];
      ours.push(percentile(ready, 0.9));
      if (bareReady.length > 0) bare.push(percentile(bareReady, 0.9));
      worst = Math.max(worst, ...ready);
    },
    rest(memory, most) {
      atRest = memory || atRest;
      peak = Math.max(peak, most);
    },
    figures() {
      const [half, floor] = [percentile(ours, 0.5), percentile(bare, 0.5)];
      return {
        sent: megabytes(total.bytes),
        "in connections": total.connections,
        refused: total.refused,
        "answers of xDS": total.responses,
        "/ready (median of floods' 90th percentiles)": milliseconds(half),
        "of a bare server": milliseconds(floor),
        ratio: floor > 0 ? (half / floor).toFixed(2) : "-",
        "at worst": milliseconds(worst),
        "memory at its peak": megabytes(peak),
        "at rest": megabytes(atRest),
        "bare server ended": this.bareEnds,
      };
    },
  };
}
