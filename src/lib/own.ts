/**
 * What a table has of its own under a name that somebody else chose: `table[name]` would also find what every object
 * inherits, such as `constructor`.
 */
export const own = <T>(table: Readonly<Record<string, T>>, name: string): T | undefined =>
  Object.hasOwn(table, name) ? table[name] : undefined;
