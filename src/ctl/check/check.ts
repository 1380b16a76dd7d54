import { UserError } from "../../lib/errors.js";
import type { CheckContext } from "./context.js";

/** The result of a check. */
export type Outcome =
  /** `detail` names what was checked: a version, an address, a count. */
  | { readonly result: "success"; readonly detail?: string }
  /** A sentence for each problem, and what to do about all of them. */
  | { readonly result: "warning" | "error"; readonly reasons: readonly string[]; readonly fix: string };

/** A condition to check. */
export interface Check {
  /** Stable, for scripts. */
  readonly id: string;
  /** The README section that explains it: the part after `README.md#`. */
  readonly anchor: string;
  /** The condition, phrased so that it can follow "until". */
  readonly description: string;
  /** IDs of earlier checks that must succeed for this one to be meaningful. */
  readonly needs?: readonly string[];
  /** False when there is nothing to check. Without this function the check always applies. */
  readonly applies?: (context: CheckContext) => boolean | Promise<boolean>;
  /** A UserError thrown by this or `applies` counts as a failure of the check. */
  readonly run: (context: CheckContext) => Outcome | Promise<Outcome>;
}

export interface Category {
  readonly name: string;
  readonly checks: readonly Check[];
}

export interface CheckResult {
  readonly category: string;
  readonly check: Check;
  readonly outcome: Outcome | { readonly result: "skipped"; readonly reason: string };
}

export const success = (detail?: string): Outcome => ({
  result: "success",
  ...(detail === undefined ? {} : { detail }),
});

export const failure = (reason: string, fix: string): Outcome => ({ result: "error", reasons: [reason], fix });

/** A failure with these reasons, or success when there are none. */
export const unless = (
  reasons: readonly string[],
  { result = "error", fix, detail }: { result?: "warning" | "error"; fix: string; detail?: string },
): Outcome => (reasons.length === 0 ? success(detail) : { result, reasons, fix });

/** The check's outcome; undefined when it does not apply. */
async function outcomeOf(check: Check, context: CheckContext): Promise<Outcome | undefined> {
  try {
    if (check.applies !== undefined && !(await check.applies(context))) return undefined;
    return await check.run(context);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return failure(error.message, "run the check again with `--log-level debug` to see the requests and responses");
  }
}

/** Runs the checks that apply, in order. Checks whose needs failed are skipped. */
export async function* runChecks(
  categories: readonly Category[],
  context: CheckContext,
): AsyncGenerator<CheckResult, void> {
  /** By check ID: what failed, or for a skipped check the first failure before it. */
  const failed = new Map<string, string>();
  for (const { name: category, checks } of categories) {
    for (const check of checks) {
      const root = check.needs?.map((id) => failed.get(id)).find((description) => description !== undefined);
      if (root !== undefined) {
        failed.set(check.id, root);
        yield { category, check, outcome: { result: "skipped", reason: `skipped until ${root}` } };
        continue;
      }
      const outcome = await outcomeOf(check, context);
      if (outcome === undefined) continue;
      if (outcome.result === "error") failed.set(check.id, check.description);
      yield { category, check, outcome };
    }
  }
}
