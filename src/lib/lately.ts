/** Values by what they were made from, as far as they were used lately. */
export type Lately<V> = (key: string, make: () => V) => V;

/** Keeps so many values at most: the one that was not used for longest goes first. */
export function createLately<V>(most: number): Lately<V> {
  const values = new Map<string, V>();

  return (key, make) => {
    const found = values.get(key);
    const value = found === undefined ? make() : found;
    // A map is in the order of insertion: what is put in anew is used last.
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
