import type { Cause } from "../lib/errors.js";
import type { Steps } from "../lib/steps.js";
import { requireElements, type Selectors, validateSelectors } from "./selector.js";

/** The sources and destinations of a rule, and for some types its configuration. */
export interface Rule<Conf> {
  readonly sources?: Selectors;
  readonly destinations?: Selectors;
  readonly conf?: Conf;
}

/** A policy in either or both of its forms: `rules`, and one flat rule at the top level. */
interface Ruled<Conf> extends Rule<Conf> {
  readonly rules?: readonly Rule<Conf>[];
}

/** The flat rule. A `conf` alone is not a rule, except beside `rules`, where it was surely meant as part of one. */
function flatRule<Conf>({ rules, ...flat }: Ruled<Conf>): Rule<Conf> | undefined {
  if (flat.sources !== undefined || flat.destinations !== undefined) return flat;
  return flat.conf !== undefined && rules !== undefined ? flat : undefined;
}

/** All rules of a policy, the flat one first; each is a separate candidate, and the index breaks ties. */
export function rulesOf<Conf>(spec: Ruled<Conf>): readonly Rule<Conf>[] {
  const flat = flatRule(spec);
  const rules = spec.rules ?? [];
  return flat === undefined ? rules : [flat, ...rules];
}

/** The path of the rule at an index of `rulesOf`: `rules[1]`; undefined for the flat one. */
export function rulePath(spec: Ruled<unknown>, index: number): string | undefined {
  const written = flatRule(spec) === undefined ? index : index - 1;
  return written < 0 ? undefined : `rules[${written}]`;
}

/** The traits of policies with rules, or with one flat rule. */
export const ruled = <Spec extends Ruled<Conf>, Conf>() => ({
  rules: (spec: Spec): readonly Rule<Conf>[] => rulesOf<Conf>(spec),
  rulePath: (spec: Spec, index: number) => rulePath(spec, index),
});

function validateRule({ sources, destinations }: Rule<unknown>, prefix: string, causes: Cause[]): void {
  validateSelectors(sources, `${prefix}sources`, "withService", causes);
  validateSelectors(destinations, `${prefix}destinations`, "withService", causes);
}

export function* validateRules(spec: Ruled<unknown>): Steps<Cause[]> {
  const causes: Cause[] = [];
  const flat = flatRule(spec);
  if (flat === undefined) requireElements(spec.rules, "rules", causes);
  else validateRule(flat, "", causes);
  for (const [index, rule] of (spec.rules ?? []).entries()) {
    yield;
    validateRule(rule, `rules[${index}].`, causes);
  }
  return causes;
}
