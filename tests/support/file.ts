// Runs one test file and reports uvu's results to the runner, because uvu itself does not print the number of failures.
import { pathToFileURL } from "node:url";
import { skippedForKubernetes } from "./kubernetes-need.js";

type Result = readonly [errors: unknown, passed: number, skipped: number, total: number];
type Run = () => Promise<Result>;

const state = globalThis as unknown as { UVU_DEFER: number; UVU_QUEUE: [null, ...Run[]][]; UVU_INDEX: number };
state.UVU_DEFER = 1;
// An entry of uvu's queue begins with the name to print, or null.
state.UVU_QUEUE = [[null]];
state.UVU_INDEX = 0;

const [file = ""] = process.argv.slice(2);
const uvu = await import("uvu");
await import(pathToFileURL(file).href);

const report = { passed: 0, failed: 0, skipped: 0 };
const counted = (run: Run): Run => {
  return async () => {
    const result = await run();
    const [, passed, skipped, total] = result;
    report.passed += passed;
    report.skipped += skipped;
    report.failed += total - passed;
    return result;
  };
};
// In place, because uvu holds the queue itself.
for (const group of state.UVU_QUEUE) group.splice(1, group.length, ...group.slice(1).map((run) => counted(run as Run)));
try {
  await (uvu as unknown as { exec(bail?: boolean): Promise<void> }).exec();
} catch (error) {
  console.error(error);
  if (report.failed === 0) report.failed = 1;
}
process.exitCode = report.failed > 0 || report.passed + report.skipped === 0 ? 1 : 0;
process.send?.({ ...report, skippedForKubernetes: skippedForKubernetes.tests }, () => process.exit());
