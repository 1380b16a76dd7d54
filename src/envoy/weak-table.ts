/** A map of weak references: a value is kept for as long as it is referenced elsewhere. */
export interface WeakTable<V extends object> {
  get(key: string): V | undefined;
  set(key: string, value: V): void;
}

export function createWeakTable<V extends object>(): WeakTable<V> {
  const values = new Map<string, WeakRef<V>>();
  const released = new FinalizationRegistry<string>((key) => {
    if (values.get(key)?.deref() === undefined) values.delete(key);
  });

  return {
    get: (key) => values.get(key)?.deref(),
    set(key, value) {
      values.set(key, new WeakRef(value));
      released.register(value, key);
    },
  };
}
