/** The value of a key, made when it is not in the cache. */
export type LruCache<V> = (key: string, make: () => V) => V;

/** A cache of at most so many values that evicts the least recently used one. */
export function createLruCache<V>(most: number): LruCache<V> {
  const values = new Map<string, V>();

  return (key, make) => {
    const found = values.get(key);
    const value = found === undefined ? make() : found;
    // A map iterates in the order of insertion: a value that is set again comes last.
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
