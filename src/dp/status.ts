import { sleep } from "../lib/deadline.js";
import type { DataplaneStatus } from "./status-client.js";

export interface StatusOptions {
  /** Undefined: the control plane doesn't tell. Rejects when it can't be reached, which nothing is made of. */
  readonly ask: () => Promise<DataplaneStatus | undefined>;
  /** Milliseconds between two questions. */
  readonly interval: number;
  readonly dataplane: { readonly mesh: string; readonly name: string; readonly tokenFile?: string };
  /** Hears once of each trouble, in a sentence. */
  readonly troubled: (sentence: string) => void;
  readonly recovered: (sentence: string) => void;
  readonly failed: (error: unknown) => void;
  readonly signal: AbortSignal;
  readonly random?: () => number;
}

/** The first question comes when Envoy has had time to ask for its certificate. */
const firstMs = 10_000;

interface Trouble {
  /** Tells it from others. */
  readonly key: string;
  readonly sentence: string;
}

/** What is wrong by this status; undefined when nothing is. */
function troubleIn(
  { known, refusal }: DataplaneStatus,
  { mesh, name, tokenFile }: StatusOptions["dataplane"],
): Trouble | undefined {
  if (!known) {
    return {
      key: "unknown",
      sentence:
        `the control plane has no Dataplane "${name}" in mesh "${mesh}" any more: no other dataplane is sent here, and ` +
        "Envoy has nothing to serve, or what it had before. Apply the Dataplane again, or stop this kuma-dp",
    };
  }
  if (refusal === undefined) return undefined;
  const way =
    tokenFile === undefined
      ? "give it one with --dataplane-token-file"
      : `write another one to ${tokenFile}, which is noticed by itself`;
  return {
    key: `refused: ${refusal.reason}`,
    sentence:
      `the control plane refused this dataplane a certificate at ${refusal.time}: ${refusal.reason}. Without ` +
      `one its connections fail while its mesh has mTLS on. Make a token with \`kumactl generate dataplane-token --name=${name} --mesh=${mesh}\` and ${way}`,
  };
}

/** Asks the control plane again and again, and says what it finds wrong. Resolves when the signal aborts. */
export async function followStatus(options: StatusOptions): Promise<void> {
  const { ask, interval, dataplane, signal, random = Math.random } = options;
  let told: string | undefined;
  let pause = Math.min(interval, firstMs);
  for (;;) {
    // Sidecars that were started together don't ask together.
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
    const trouble = troubleIn(status, dataplane);
    if (trouble?.key === told) continue;
    told = trouble?.key;
    if (trouble === undefined) options.recovered("the control plane finds nothing wrong with this dataplane any more");
    else options.troubled(trouble.sentence);
  }
}
