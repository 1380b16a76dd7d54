import { isJsonObject } from "../lib/json.js";
import { own } from "../lib/own.js";
import { visibleJson } from "../lib/visible.js";
import { pathText, type Step } from "../resources/path.js";

/** A difference between two JSON values; `before` or `after` is undefined when the value is missing there. */
export interface Difference {
  readonly kind: "added" | "removed" | "changed";
  readonly path: string;
  readonly before: unknown;
  readonly after: unknown;
}

/**
 * The differences between two JSON values, in the order of the first one's keys, then the second's. Lists are compared
 * by index.
 */
export function differences(before: unknown, after: unknown, steps: readonly Step[] = []): Difference[] {
  if (Array.isArray(before) && Array.isArray(after)) {
    const length = Math.max(before.length, after.length);
    return Array.from({ length }, (_, i) => differences(before[i], after[i], [...steps, i])).flat();
  }
  if (isJsonObject(before) && isJsonObject(after)) {
    const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...keys].flatMap((key) => differences(own(before, key), own(after, key), [...steps, key]));
  }
  if (before === after) return [];
  const kind = before === undefined ? "added" : after === undefined ? "removed" : "changed";
  return [{ kind, path: pathText(steps), before, after }];
}

const json = (value: unknown) => visibleJson(JSON.stringify(value));

/** For example `~ a.b: 1 → 2`, `+ a.b: 2`, `- a.b: 1`. */
export function describeDifference({ kind, path, before, after }: Difference): string {
  switch (kind) {
    case "added":
      return `+ ${path}: ${json(after)}`;
    case "removed":
      return `- ${path}: ${json(before)}`;
    case "changed":
      return `~ ${path}: ${json(before)} → ${json(after)}`;
  }
}
