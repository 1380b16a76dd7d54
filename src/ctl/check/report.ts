import type { Io } from "../../lib/cli.js";
import { visibleJson } from "../../lib/visible.js";
import { paint } from "../color.js";
import { oneLine } from "../one-line.js";
import type { CheckResult } from "./check.js";

type Result = CheckResult["outcome"]["result"];

const symbols: Readonly<Record<"unicode" | "ascii", Readonly<Record<Result, string>>>> = {
  unicode: { success: "√", warning: "‼", error: "×", skipped: "-" },
  ascii: { success: "[ok]", warning: "[!]", error: "[x]", skipped: "[-]" },
};

const colors = { success: "green", warning: "yellow", error: "red", skipped: undefined } as const;

/** As in POSIX, the first of these that is set wins. Without any the locale is C, which is ASCII. */
function showsUnicode({ LC_ALL, LC_CTYPE, LANG }: Io["env"]): boolean {
  return /utf-?8/i.test(LC_ALL || LC_CTYPE || LANG || "");
}

const hint = (anchor: string) => `README.md#${anchor}`;

/** More would fill the screen; the JSON format has all of them. */
const shownReasons = 10;

/** The text in parentheses after a check's description. */
function remarkOf(outcome: CheckResult["outcome"]): string | undefined {
  if (outcome.result === "skipped") return outcome.reason;
  return outcome.result === "success" ? outcome.detail : undefined;
}

function reasonLines(outcome: CheckResult["outcome"]): string[] {
  if (outcome.result === "success" || outcome.result === "skipped") return [];
  const more = outcome.reasons.length - shownReasons;
  return [...outcome.reasons.slice(0, shownReasons), ...(more > 0 ? [`and ${more} more: see -o json`] : [])];
}

/** Renders readable lines, one check at a time as results arrive, and a summary at the end. */
export function createTable({ color, env }: Pick<Io, "color" | "env">) {
  const marks = symbols[showsUnicode(env) ? "unicode" : "ascii"];
  const counts = { success: 0, warning: 0, error: 0, skipped: 0 };
  let title: string | undefined;

  function mark(result: Result): string {
    const shade = colors[result];
    return color && shade !== undefined ? paint(shade, marks[result]) : marks[result];
  }

  return {
    lines({ category, check, outcome }: CheckResult): string {
      counts[outcome.result] += 1;
      const head = category === title ? "" : `${title === undefined ? "" : "\n"}${category}\n`;
      title = category;
      const remark = remarkOf(outcome);
      const below = reasonLines(outcome).map(oneLine);
      if (outcome.result === "warning" || outcome.result === "error") {
        below.push(`fix: ${oneLine(outcome.fix)}`, `see ${hint(check.anchor)}`);
      }
      const lines = [
        `${mark(outcome.result)} ${check.description}${remark === undefined ? "" : ` (${oneLine(remark)})`}`,
        ...below.map((line) => `    ${line}`),
      ];
      return head + lines.map((line) => `${line}\n`).join("");
    },
    end(): string {
      const { error, warning, skipped } = counts;
      const count = (n: number, what: string) => (n === 0 ? [] : [`${n} ${what}`]);
      const warnings = warning === 1 ? "warning" : "warnings";
      const parts = [...count(error, "failed"), ...count(warning, warnings), ...count(skipped, "skipped")];
      return `\n${mark(error > 0 ? "error" : warning > 0 ? "warning" : "success")} ${parts.join(", ") || "all is well"}\n`;
    },
  };
}

function resultJson({ check: { id, description, anchor }, outcome }: CheckResult) {
  const common = { id, description, result: outcome.result };
  switch (outcome.result) {
    case "success":
      return { ...common, ...(outcome.detail === undefined ? {} : { detail: outcome.detail }), hint: hint(anchor) };
    case "skipped":
      return { ...common, reason: outcome.reason, hint: hint(anchor) };
    default:
      return { ...common, reason: outcome.reasons.join("\n"), fix: outcome.fix, hint: hint(anchor) };
  }
}

/** The JSON format for scripts: `{"categories": [{"name", "checks": [{"id", "description", "result", …}]}], "success"}`. */
export function renderJson(results: readonly CheckResult[]): string {
  const names = [...new Set(results.map(({ category }) => category))];
  const categories = names.map((name) => ({
    name,
    checks: results.filter(({ category }) => category === name).map(resultJson),
  }));
  const success = !results.some(({ outcome }) => outcome.result === "error");
  return `${visibleJson(JSON.stringify({ categories, success }, null, 2))}\n`;
}
