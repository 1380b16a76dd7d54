import { isJsonObject } from "../../lib/json.js";

const shown = (value: unknown): string => {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
};

/**
 * The first place where a document lacks something that is wanted, or has something else there. What it has beside that
 * does not count, since API servers add defaults; lists have to have the same length.
 * @param place of the values, for the answer
 */
export function differenceIn(wanted: unknown, found: unknown, place: string): string | undefined {
  if (Array.isArray(wanted)) {
    if (!Array.isArray(found)) return `${place} is ${shown(found)} and should be a list`;
    if (found.length !== wanted.length) return `${place} has ${found.length} elements and should have ${wanted.length}`;
    return firstOf(wanted.map((value, index) => () => differenceIn(value, found[index], `${place}[${index}]`)));
  }
  if (isJsonObject(wanted)) {
    if (!isJsonObject(found)) return `${place} is ${shown(found)} and should be an object`;
    const entries = Object.entries(wanted);
    return firstOf(
      entries.map(
        ([key, value]) =>
          () =>
            differenceIn(value, found[key], `${place}.${key}`),
      ),
    );
  }
  return Object.is(wanted, found) ? undefined : `${place} is ${shown(found)} and should be ${shown(wanted)}`;
}

function firstOf(candidates: readonly (() => string | undefined)[]): string | undefined {
  for (const candidate of candidates) {
    const difference = candidate();
    if (difference !== undefined) return difference;
  }
  return undefined;
}
