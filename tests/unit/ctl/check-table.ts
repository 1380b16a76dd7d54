import type { CheckContext } from "../../../src/ctl/check/context.js";
import { createTable } from "../../../src/ctl/check/report.js";
import { resultsOf } from "./check-stage.js";

/** The table of all checks, in a terminal without colors. */
export async function tableOf(
  context: CheckContext,
  io = { color: false, env: { LANG: "C.UTF-8" } as Readonly<Record<string, string>> },
): Promise<string> {
  const table = createTable(io);
  return (await resultsOf(context)).map((result) => table.lines(result)).join("") + table.end();
}
