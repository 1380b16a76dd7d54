import { registry } from "../../src/resources/registry.js";
import type { ResourceType } from "../../src/resources/resource.js";

/** The registry's type with this name; throws when there is none. */
export function typeNamed(name: string): ResourceType {
  const type = registry.byName(name);
  if (type === undefined) throw new Error(`the registry has no type "${name}"`);
  return type;
}
