const suffixes: ReadonlyMap<string, number> = new Map([
  ...["n", "u", "m", "", "k", "M", "G", "T", "P", "E"].map((suffix, index) => [suffix, 1000 ** (index - 3)] as const),
  ...["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].map((suffix, index) => [suffix, 1024 ** (index + 1)] as const),
]);

/**
 * The number that a Kubernetes quantity stands for, such as 0.05 for `50m` and 67108864 for `64Mi`; undefined for other
 * texts. As a number, so beyond 2^53 it is rounded.
 */
export function parseQuantity(text: string): number | undefined {
  const found = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([a-zA-Z]*))$/.exec(text);
  if (found === null) return undefined;
  const [, digits = "", exponent = "", suffix = ""] = found;
  const scale = suffixes.get(suffix);
  return scale === undefined ? undefined : Number(`${digits}${exponent}`) * scale;
}
