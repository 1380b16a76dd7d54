import type { Ledger, Row } from "./ledger.js";

const seconds = (milliseconds: number) => `${(milliseconds / 1000).toFixed(2)} s`;

function lines({ event, runs, made, plaintext, allowed, denied, gapMs, gapFlow }: Row): string[] {
  const failed = [...allowed.values()].reduce((sum, { failed: count }) => sum + count, 0);
  const gap = gapMs === 0 ? "" : `, longest gap ${seconds(gapMs)} (${gapFlow})`;
  const tried = plaintext === 0 ? "" : ` (${plaintext} tried in plaintext with mTLS on)`;
  const counts = `${made} connections${tried}, ${failed} failed as allowed, ${denied} failed otherwise`;
  return [
    `${event}, ${runs} ${runs === 1 ? "time" : "times"}: ${counts}${gap}`,
    ...[...allowed].map(([why, cause]) => {
      const bound = `${cause.lastSeconds.toFixed(1)} of ${cause.forSeconds} s`;
      return `    ${String(cause.failed).padStart(6)}  ${why} (within ${bound})`;
    }),
  ];
}

/** What the ledger holds, by event and cause, one line each. */
export function report(ledger: Ledger): string {
  return ledger.rows().flatMap(lines).join("\n");
}
