import http from "node:http";

/** How long `/ready` took, in milliseconds, each time it was asked; an infinite time is one without an answer. */
export interface Readiness {
  readonly times: readonly number[];
}

const everyMs = 40;

/** The time within which an answer has to come at the very worst. */
export const longestMs = 2_000;
/** After this nobody waits any longer: a server that is still busy is found out, not waited for. */
const givesUpMs = 10_000;

function ask(url: string): Promise<number> {
  const start = performance.now();
  return new Promise((resolve) => {
    const request = http.get(`${url}/ready`, { agent: false, timeout: givesUpMs }, (response) => {
      response.resume();
      response.on("end", () =>
        resolve(response.statusCode === 200 ? performance.now() - start : Number.POSITIVE_INFINITY),
      );
    });
    request.on("timeout", () => request.destroy());
    request.on("error", () => resolve(Number.POSITIVE_INFINITY));
  });
}

/** Asks again and again, on a new connection each time, until `during` is over; the last answer is awaited. */
export async function measureReadiness(url: string, during: Promise<unknown>): Promise<Readiness> {
  const times: number[] = [];
  let over = false;
  const end = during.then(() => {
    over = true;
  });
  do {
    times.push(await ask(url));
    await Promise.race([new Promise((resolve) => setTimeout(resolve, everyMs)), end]);
  } while (!over);
  await end;
  times.push(await ask(url));
  return { times };
}

export function percentile(times: readonly number[], share: number): number {
  const sorted = [...times].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
