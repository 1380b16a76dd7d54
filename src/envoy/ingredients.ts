import { createHash } from "node:crypto";
import type { EnvoyResource } from "./resource.js";
import { createWeakTable } from "./weak-table.js";

/** What something is made from: values, and immutable objects of values. */
export type Ingredient = string | number | boolean | undefined | object;

const hashes = new WeakMap<object, string>();

/** Hash of what an object says: one that is written anew and says the same is no other ingredient. */
function hashOf(object: object): string {
  let hash = hashes.get(object);
  if (hash === undefined) {
    hash = createHash("sha256").update(JSON.stringify(object)).digest("base64url").slice(0, 22);
    hashes.set(object, hash);
  }
  return hash;
}

function textOf(ingredient: Ingredient): string {
  // With its length before it, so that no text can look like another one and what follows.
  if (typeof ingredient === "string") return `${ingredient.length}:${ingredient}`;
  if (typeof ingredient === "object") return `#${hashOf(ingredient)};`;
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
