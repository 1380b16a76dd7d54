import type { Cause } from "../lib/errors.js";
import { atKey, quoted } from "./path.js";
import { text } from "./scalars.js";
import { type Infer, limits, list, map, object } from "./schema.js";
import { serviceTag, type Tags, tagKeyProblem } from "./tags.js";

export const tagsSchema = map(text(), limits.tags);
const selector = object({ match: tagsSchema });
export const selectorsSchema = list(selector, limits.selectors);

/** Selects Dataplanes or services by their tags; without `match` it selects all. */
export type Selector = Infer<typeof selector>;
export type Selectors = readonly Selector[];

/**
 * Which tags are valid: `service` means exactly that tag, `withService` requires that tag among others, `any` allows
 * none at all.
 */
export type TagsRule = "service" | "withService" | "any";

/** Validates one set of tags; for `service` and `withService` an empty set violates more than one rule. */
export function validateTags(tags: Tags, path: string, rule: TagsRule, causes: Cause[]): void {
  const keys = Object.keys(tags).sort();
  if (rule !== "any" && keys.length === 0) causes.push({ field: path, message: "must have at least one tag" });
  if (rule === "service" && (keys.length !== 1 || keys[0] !== serviceTag)) {
    causes.push({ field: path, message: `must consist of exactly one tag "${serviceTag}"` });
  }
  for (const key of keys) {
    const problem = tagKeyProblem(key);
    if (key === "") causes.push({ field: path, message: "tag key must be non-empty" });
    else if (problem !== undefined) causes.push({ field: atKey(path, key), message: `tag key ${problem}` });
    if (rule === "service" && key !== serviceTag) {
      causes.push({ field: atKey(path, key), message: `tag ${quoted(key)} is not allowed` });
    }
    if (tags[key] === "") causes.push({ field: atKey(path, key), message: "tag value must be non-empty" });
  }
  if (rule !== "any" && !keys.includes(serviceTag)) {
    causes.push({ field: path, message: `mandatory tag "${serviceTag}" is missing` });
  }
}

const none: Tags = {};

/** Validates a list of selectors, which may be empty only if any tags are allowed. */
export function validateSelectors(
  selectors: Selectors | undefined,
  path: string,
  rule: TagsRule,
  causes: Cause[],
): void {
  if (rule !== "any") requireElements(selectors, path, causes);
  selectors?.forEach(({ match = none }, index) => {
    validateTags(match, `${path}[${index}].match`, rule, causes);
  });
}

export function requireElements(elements: readonly unknown[] | undefined, path: string, causes: Cause[]): void {
  if (elements === undefined || elements.length === 0) {
    causes.push({ field: path, message: "must have at least one element" });
  }
}
