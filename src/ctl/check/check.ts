import { UserError } from "../../lib/errors.js";
import type { CheckContext } from "./context.js";

/** What a check found. */
export type Outcome =
  /** `detail` says what was looked at: a version, an address, how many. */
  | { readonly result: "success"; readonly detail?: string }
  /** A sentence for each thing that is wrong, and what to do about all of them. */
  | { readonly result: "warning" | "error"; readonly reasons: readonly string[]; readonly fix: string };

/** One thing that has to hold. */
export interface Check {
  /** Stable, for scripts. */
  readonly id: string;
  /** Where the README explains it: what follows `README.md#`. */
  readonly anchor: string;
  /** What holds when all is well, so that "until" can stand before it. */
  readonly description: string;
  /** Ids of earlier checks without whose success there is nothing to look at. */
  readonly needs?: readonly string[];
  /** False where there is nothing of the kind to check; always true when left out. */
  readonly applies?: (context: CheckContext) => boolean | Promise<boolean>;
  /** A UserError that this or `applies` throws is the check's failure. */
  readonly run: (context: CheckContext) => Outcome | Promise<Outcome>;
}

export interface Category {
  readonly name: string;
  readonly checks: readonly Check[];
}

/** A check after its run. */
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

/** A failure of this kind when there are reasons for one, otherwise a success. */
export const unless = (
  reasons: readonly string[],
  { result = "error", fix, detail }: { result?: "warning" | "error"; fix: string; detail?: string },
): Outcome => (reasons.length === 0 ? success(detail) : { result, reasons, fix });

/** What the check found; undefined where it does not apply. */
async function outcomeOf(check: Check, context: CheckContext): Promise<Outcome | undefined> {
  try {
    if (check.applies !== undefined && !(await check.applies(context))) return undefined;
    return await check.run(context);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return failure(error.message, "run the check again with `--log-level debug` to see what was asked and answered");
  }
}

/** Runs the checks that apply, one after the other; those whose needs failed are skipped, not tried. */
export async function* runChecks(
  categories: readonly Category[],
  context: CheckContext,
): AsyncGenerator<CheckResult, void> {
  /** What failed, or what first failed before a check that was skipped, by the check's id. */
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
