import type { BodyPieces } from "../../net/exchange.js";
import { toJson } from "../../resources/envelope.js";
import type { Resource } from "../../resources/resource.js";
import type { Stored } from "../../store/store.js";
import { asElement, listBody } from "./listing.js";

/** A resource as in responses: pretty-printed with one space per level, without the final line break. */
export function render(resource: Resource): string {
  return JSON.stringify(toJson(resource), null, 1);
}

interface Rendered {
  readonly text: string;
  /** The same, indented as an element of a list. */
  element: string | undefined;
  body: Buffer | undefined;
}

/** Size limit of cached lists; larger ones are rendered each time. */
const keptListBytes = 8 * 1024 * 1024;
const keptLists = 32;
/** Maximum size of a page that is rendered whole; pages are not cached. */
const pageBytes = 256 * 1024;

export interface Renderer {
  text(stored: Stored): string;
  item(stored: Stored): Buffer;
  /** `name` identifies the list in the cache; it is rendered again only if its members changed. */
  list(name: string, members: readonly Stored[]): Promise<Buffer | BodyPieces>;
  /** A page of a list, and what follows its items. */
  page(members: readonly Stored[], end: string): Promise<Buffer | BodyPieces>;
}

/**
 * Renders each stored version once. A stored resource is immutable and a new version is a new object, so the object
 * itself is the cache key, and its text is collected with it.
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
    entry.element ??= asElement(entry.text);
    return entry.element;
  }

  function* elements(members: readonly Stored[]): Generator<string> {
    for (const member of members) yield element(member);
  }

  return {
    text: (stored) => rendered(stored).text,
    item(stored) {
      const entry = rendered(stored);
      entry.body ??= Buffer.from(`${entry.text}\n`);
      return entry.body;
    },
    page: (members, end) => listBody(elements(members), pageBytes, end),
    async list(name, members) {
      const last = lists.get(name);
      if (last !== undefined && same(last.members, members)) return last.body;
      const body = await listBody(elements(members), keptListBytes);
      lists.delete(name);
      if (Buffer.isBuffer(body)) lists.set(name, { members, body });
      const [oldest] = lists.keys();
      if (lists.size > keptLists && oldest !== undefined) lists.delete(oldest);
      return body;
    },
  };
}

function same(a: readonly Stored[], b: readonly Stored[]): boolean {
  return a.length === b.length && a.every((member, index) => member === b[index]);
}
