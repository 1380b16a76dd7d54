import { steersTerminal, visibleLines } from "../lib/visible.js";

/**
 * Renders YAML as kumactl prints it: one value per line, lists at the indentation of their key, no anchors. Control
 * characters of a terminal are escaped the YAML way, so the value survives a round trip.
 */
export async function toYaml(value: unknown, { sortKeys = false } = {}): Promise<string> {
  const { dump, DEFAULT_SCALAR_STYLE_RULES: usual, SCALAR_STYLE } = await import("js-yaml");
  const text = dump(value, {
    sortKeys,
    noRefs: true,
    lineWidth: -1,
    seqNoIndent: true,
    // Only double-quoted scalars have escapes, and the library leaves some of these characters unescaped otherwise.
    scalarStyleRules: [
      (layout) => {
        if (steersTerminal(layout.node.value)) layout.style = SCALAR_STYLE.DOUBLE_QUOTED;
      },
      ...Object.values(usual),
    ],
  });
  return visibleLines(text);
}
