/** Returns the cached value of a key, or makes it. */
export type LruCache<V> = (key: string, make: () => V) => V;

/** A cache of at most `most` values that evicts the least recently used one. */
export function createLruCache<V>(most: number): LruCache<V> {
  const values = new Map<string, V>();

  return (key, make) => {
    const found = values.get(key);
    const value = found === undefined ? make() : found;
    // A Map iterates in insertion order: a value that is set again comes last.
    values.delete(key);
    values.set(key, value);
    if (values.size > most) {
      for (const oldest of values.keys()) {
        values.delete(oldest);
        break;
      }
    }
    return value;
  };
}
