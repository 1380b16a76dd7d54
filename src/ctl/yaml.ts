/** YAML as kumactl writes it: one line a value, lists as far left as their key, nothing abbreviated. */
export async function toYaml(value: unknown, { sortKeys = false } = {}): Promise<string> {
  const { dump } = await import("js-yaml");
  return dump(value, { sortKeys, noRefs: true, lineWidth: -1, seqNoIndent: true });
}
