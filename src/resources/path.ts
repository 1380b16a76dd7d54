import { visibleJson } from "../lib/visible.js";

/** One step into a document: a field, an index of a list, or a key of a map. */
export type Step = string | number | { readonly key: string };

const plainName = /^[A-Za-z_][A-Za-z0-9_-]*$/;
const longestShown = 100;

/** Quotes user input for an error: control characters escaped, truncated if long. */
export function quoted(text: string): string {
  return visibleJson(JSON.stringify(text.length > longestShown ? `${text.slice(0, longestShown)}…` : text));
}

/** The path of a map entry: `tags["version"]`. */
export const atKey = (path: string, key: string): string => `${path}[${quoted(key)}]`;

/** `a.b[2].c["key"]`; empty for the document itself. */
export function pathText(steps: readonly Step[]): string {
  let path = "";
  for (const step of steps) {
    if (typeof step === "number") path += `[${step}]`;
    else if (typeof step === "object") path = atKey(path, step.key);
    else if (!plainName.test(step)) path = atKey(path, step);
    else path += path === "" ? step : `.${step}`;
  }
  return path;
}
