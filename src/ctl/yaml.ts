import { steersTerminal, visibleLines } from "../lib/visible.js";

/**
 * YAML as kumactl writes it: one line a value, lists as far left as their key, nothing abbreviated. What steers a
 * terminal is escaped as YAML does it, so that it reads back to the same value.
 */
export async function toYaml(value: unknown, { sortKeys = false } = {}): Promise<string> {
  const { dump, DEFAULT_SCALAR_STYLE_RULES: usual, SCALAR_STYLE } = await import("js-yaml");
  const text = dump(value, {
    sortKeys,
    noRefs: true,
    lineWidth: -1,
    seqNoIndent: true,
    // Only double quotes have escapes, and of these characters the library writes some as they are.
    scalarStyleRules: [
      (layout) => {
        if (steersTerminal(layout.node.value)) layout.style = SCALAR_STYLE.DOUBLE_QUOTED;
      },
      ...Object.values(usual),
    ],
  });
  return visibleLines(text);
}
