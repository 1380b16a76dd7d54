import { toJson } from "../../resources/envelope.js";
import type { Resource } from "../../resources/resource.js";
import type { Stored } from "../../store/store.js";

/** One resource as it is answered, without the final line break: pretty-printed, one space a level. */
export function render(resource: Resource): string {
  return JSON.stringify(toJson(resource), null, 1);
}

interface Rendered {
  readonly text: string;
  /** The same, indented as an element of a list. */
  element: string | undefined;
  body: Buffer | undefined;
}

/** Lists worth keeping: what is larger is rendered anew each time. */
const keptListBytes = 8 * 1024 * 1024;
const keptLists = 32;

export interface Renderer {
  text(stored: Stored): string;
  item(stored: Stored): Buffer;
  /** `name` tells lists apart; a list is rendered again only when its members changed. */
  list(name: string, members: readonly Stored[]): Buffer;
}

/**
 * Renders each stored version once. A stored resource is immutable and a new version is a new object, so the object
 * itself is the cache's key and takes its text with it when it goes.
 */
export function createRenderer(): Renderer {
  const known = new WeakMap<Stored, Rendered>();
  const lists = new Map<string, { readonly members: readonly Stored[]; readonly body: Buffer }>();

  function rendered(stored: Stored): Rendered {
    let entry = known.get(stored);
    if (entry === undefined) {
      entry = { text: render(stored), element: undefined, body: undefined };
      known.set(stored, entry);
    }
    return entry;
  }

  function element(stored: Stored): string {
    const entry = rendered(stored);
    entry.element ??= `  ${entry.text.replaceAll("\n", "\n  ")}`;
    return entry.element;
  }

  return {
    text: (stored) => rendered(stored).text,
    item(stored) {
      const entry = rendered(stored);
      entry.body ??= Buffer.from(`${entry.text}\n`);
      return entry.body;
    },
    list(name, members) {
      const last = lists.get(name);
      if (last !== undefined && same(last.members, members)) return last.body;
      const body = Buffer.from(listText(members.map(element)));
      lists.delete(name);
      if (body.length <= keptListBytes) lists.set(name, { members, body });
      const [oldest] = lists.keys();
      if (lists.size > keptLists && oldest !== undefined) lists.delete(oldest);
      return body;
    },
  };
}

function listText(elements: readonly string[]): string {
  return elements.length === 0 ? '{\n "items": []\n}\n' : `{\n "items": [\n${elements.join(",\n")}\n ]\n}\n`;
}

function same(a: readonly Stored[], b: readonly Stored[]): boolean {
  return a.length === b.length && a.every((member, index) => member === b[index]);
}
