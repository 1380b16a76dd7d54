import { sleep } from "../lib/deadline.js";
import type { DataplaneStatus } from "./status-client.js";

export interface StatusOptions {
  /**
   * Resolves with undefined when the control plane does not provide a status. Rejects when it can't be reached, which
   * is not reported as a problem.
   */
  readonly ask: () => Promise<DataplaneStatus | undefined>;
  /** Milliseconds between two requests. */
  readonly interval: number;
  readonly dataplane: { readonly mesh: string; readonly name: string; readonly tokenFile?: string };
  /** Called once for each problem, with a sentence. */
  readonly onProblem: (sentence: string) => void;
  readonly recovered: (sentence: string) => void;
  readonly failed: (error: unknown) => void;
  readonly signal: AbortSignal;
  readonly random?: () => number;
}

/** By the first request Envoy has had time to ask for its certificate. */
const firstMs = 10_000;

interface Problem {
  /** Identifies the problem. */
  readonly key: string;
  readonly sentence: string;
}

/** The problem in this status; undefined when there is none. */
function problemIn(
  { known, refusal }: DataplaneStatus,
  { mesh, name, tokenFile }: StatusOptions["dataplane"],
): Problem | undefined {
  if (!known) {
    return {
      key: "unknown",
      sentence:
        `the control plane has no Dataplane "${name}" in mesh "${mesh}" any more: no other dataplane connects to it, and ` +
        "Envoy has no configuration, or only its last one. Apply the Dataplane again, or stop this kuma-dp",
    };
  }
  if (refusal === undefined) return undefined;
  const way =
    tokenFile === undefined
      ? "give it one with --dataplane-token-file"
      : `write it to ${tokenFile}; kuma-dp notices the change by itself`;
  return {
    key: `refused: ${refusal.reason}`,
    sentence:
      `the control plane refused this dataplane a certificate at ${refusal.time}: ${refusal.reason}. Without ` +
      `one, its connections fail while its mesh has mTLS on. Make a token with \`kumactl generate dataplane-token --name=${name} --mesh=${mesh}\` and ${way}`,
  };
}

/** Polls the control plane for the dataplane's status and reports problems. Resolves when the signal aborts. */
export async function followStatus(options: StatusOptions): Promise<void> {
  const { ask, interval, dataplane, signal, random = Math.random } = options;
  let reported: string | undefined;
  let pause = Math.min(interval, firstMs);
  for (;;) {
    // Jitter, so that sidecars started together don't poll together.
    await sleep(pause * (0.75 + random() / 2), signal).catch(() => undefined);
    if (signal.aborted) return;
    pause = interval;
    let status: DataplaneStatus | undefined;
    try {
      status = await ask();
    } catch (error) {
      if (signal.aborted) return;
      options.failed(error);
    }
    if (status === undefined) continue;
    const problem = problemIn(status, dataplane);
    if (problem?.key === reported) continue;
    reported = problem?.key;
    if (problem === undefined) options.recovered("the control plane no longer finds a problem with this dataplane");
    else options.onProblem(problem.sentence);
  }
}
