import type { EnvoyResource } from "./resource.js";
import { createWeakTable } from "./weak-table.js";

/** What something is made from: values, and immutable objects, each of which is only equal to itself. */
export type Ingredient = string | number | boolean | undefined | object;

const numbers = new WeakMap<object, number>();
let given = 0;

function numberOf(object: object): number {
  let number = numbers.get(object);
  if (number === undefined) {
    given += 1;
    number = given;
    numbers.set(object, number);
  }
  return number;
}

function textOf(ingredient: Ingredient): string {
  // With its length before it, so that no text can look like another one and what follows.
  if (typeof ingredient === "string") return `${ingredient.length}:${ingredient}`;
  if (typeof ingredient === "object") return `#${numberOf(ingredient)};`;
  return `=${ingredient};`;
}

/** A text that is equal for equal lists of ingredients, and for no others. */
export function keyOf(ingredients: readonly Ingredient[]): string {
  let key = "";
  for (const ingredient of ingredients) key += textOf(ingredient);
  return key;
}

const made = createWeakTable<EnvoyResource>();

/**
 * The resource that is made from these ingredients, which have to be all there are: as long as a proxy has it, it is
 * neither made nor encoded again, for that proxy or another one.
 */
export function madeOnce(ingredients: readonly Ingredient[], make: () => EnvoyResource): EnvoyResource {
  const key = keyOf(ingredients);
  const known = made.get(key);
  if (known !== undefined) return known;
  const resource = make();
  made.set(key, resource);
  return resource;
}
