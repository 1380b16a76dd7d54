import { visible } from "../lib/visible.js";
import { fromJson } from "../resources/envelope.js";
import type { Column, Resource, ResourceType } from "../resources/resource.js";

/** Colours a cell; applied after its width was measured. */
export type Paint = (cell: string, column: number) => string;

const gap = 3;

function width(text: string): number {
  return [...text].length;
}

/**
 * Renders columns separated by three blanks, without padding in the last one. Every row ends with a line break,
 * including the header. Control characters in cells are escaped, so a line break in a cell does not start a row.
 */
export function renderTable(
  titles: readonly string[],
  content: readonly (readonly string[])[],
  paint: Paint = (cell) => cell,
): string {
  const rows = content.map((cells) => cells.map(visible));
  const widths = titles.map((title, column) => Math.max(width(title), ...rows.map((row) => width(row[column] ?? ""))));
  const line = (cells: readonly string[], show: Paint) =>
    cells
      .map((cell, column) => {
        const missing = column === cells.length - 1 ? 0 : (widths[column] ?? 0) + gap - width(cell);
        return show(cell, column) + " ".repeat(missing);
      })
      .join("");
  const lines = [line(titles, (title) => title), ...rows.map((row) => line(row, paint))];
  return lines.map((text) => `${text}\n`).join("");
}

/** The table of resources as the API returns them. */
export function resourceTable<Spec>(
  type: ResourceType<Spec>,
  columns: readonly Column<Spec>[],
  items: readonly unknown[],
  paint?: Paint,
): string {
  const rows = items
    .map((item) => readItem(type, item))
    .map((resource) => columns.map((column) => column.cell(resource)));
  return renderTable(
    columns.map(({ title }) => title),
    rows,
    paint,
  );
}

/** Decodes leniently, because the control plane may be newer than this kumactl. */
function readItem<Spec>(type: ResourceType<Spec>, item: unknown): Resource<Spec> {
  const { envelope, spec } = fromJson(type, item, "lenient");
  const name = envelope.name ?? "";
  return { type: type.name, mesh: type.scope === "global" ? name : (envelope.mesh ?? ""), name, spec };
}
