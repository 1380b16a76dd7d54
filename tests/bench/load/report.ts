// Measurements as tables and as the closing line.
import type { Figures, Measurement, Series, Server } from "./measure.js";
import type { LoadOptions } from "./options.js";

export function quantile(values: readonly number[], fraction: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) * fraction)] ?? Number.NaN;
}

const digits = (value: number, count: number) => Number(value.toFixed(count));

/** A lone change is told after this quiet time: part of what a user waits, and no work. */
const quietMs = 10;

/** One line of the table; a figure of ours is compared with the floor by grpc-js. */
interface Row {
  /** As in the closing line. */
  readonly key: string;
  readonly label: string;
  readonly unit: string;
  readonly of: (figures: Figures) => number | undefined;
  /** What of our figure is compared: all of it when left out. */
  readonly compared?: (value: number) => number;
  /** Of the ratio; an absolute bound when the floor is none. */
  readonly target?: number;
  readonly absolute?: boolean;
}

const perChange = ({ cpuSeconds, ms }: Series) => (cpuSeconds * 1000) / ms.length;
const lessQuiet = (ms: number) => ms - quietMs;

const rows: readonly Row[] = [
  { key: "connect", label: "connect storm", unit: "ms", of: ({ connect }) => connect.ms, target: 5 },
  { key: "connectCpu", label: "  server CPU", unit: "s", of: ({ connect }) => connect.cpuSeconds },
  {
    key: "endpointP50",
    label: "one endpoint, p50",
    unit: "ms",
    of: ({ endpoint }) => quantile(endpoint.ms, 0.5),
    compared: lessQuiet,
  },
  {
    key: "endpointP99",
    label: "one endpoint, p99",
    unit: "ms",
    of: ({ endpoint }) => quantile(endpoint.ms, 0.99),
    compared: lessQuiet,
    target: 2,
  },
  { key: "endpointCpu", label: "  server CPU each", unit: "ms", of: ({ endpoint }) => perChange(endpoint) },
  {
    key: "permission",
    label: "permission for all, p50",
    unit: "ms",
    of: ({ permission }) => permission && quantile(permission.ms, 0.5),
    compared: lessQuiet,
    target: 3,
  },
  {
    key: "permissionCpu",
    label: "  server CPU each",
    unit: "ms",
    of: ({ permission }) => permission && perChange(permission),
  },
  {
    key: "check",
    label: "health check for all, p50",
    unit: "ms",
    of: ({ check }) => quantile(check.ms, 0.5),
    compared: lessQuiet,
    target: 3,
  },
  { key: "checkCpu", label: "  server CPU each", unit: "ms", of: ({ check }) => perChange(check) },
  { key: "roll", label: "every dataplane, in turn", unit: "ms", of: ({ roll }) => roll.ms },
  { key: "rollCpu", label: "  server CPU", unit: "s", of: ({ roll }) => roll.cpuSeconds },
  { key: "restart", label: "killed and restarted", unit: "ms", of: ({ restart }) => restart.ms },
  { key: "restartCpu", label: "  server CPU, with its start", unit: "s", of: ({ restart }) => restart.cpuSeconds },
  {
    key: "idle",
    label: "idle CPU of one core",
    unit: "%",
    of: ({ idleCpu }) => idleCpu * 100,
    target: 1,
    absolute: true,
  },
  {
    key: "resident",
    label: "memory a proxy",
    unit: "KB",
    of: ({ residentBytes }) => residentBytes.connected / 1000,
    target: 300,
    absolute: true,
  },
  {
    key: "residentLater",
    label: "  after all these changes",
    unit: "KB",
    of: ({ residentBytes }) => residentBytes.later / 1000,
    absolute: true,
  },
];

interface Value {
  readonly ours: number;
  readonly grpc: number;
  readonly http2: number;
  readonly ratio: number;
}

function compare({ figures }: Measurement, { of, compared = (value) => value }: Row): Value | undefined {
  const get = (server: Server) => of(figures[server]);
  const [ours, grpc, http2] = [get("ours"), get("grpc"), get("http2")];
  if (ours === undefined || grpc === undefined || http2 === undefined) return undefined;
  return { ours, grpc, http2, ratio: compared(ours) / grpc };
}

/** Both sides of a comparison of ours with ours. */
function changesOf({ doubled, deaf }: Measurement) {
  const medians = ({ before, after }: { before: Series; after: Series }) => ({
    before: quantile(before.ms, 0.5),
    after: quantile(after.ms, 0.5),
    ratio: lessQuiet(quantile(after.ms, 0.5)) / lessQuiet(quantile(before.ms, 0.5)),
    cpuRatio: perChange(after) / perChange(before),
  });
  return { doubled: doubled && medians(doubled), deaf: medians({ before: deaf.before, after: deaf.during }) };
}

const text = (value: number, unit: string) =>
  `${value.toFixed(unit === "s" || unit === "%" ? 2 : value < 10 ? 2 : value < 100 ? 1 : 0)} ${unit}`;

export function printTable(measurement: Measurement): void {
  const line = (label: string, ...cells: string[]) =>
    console.log(`  ${label.padEnd(29)}${cells.map((cell) => cell.padStart(12)).join("")}`);
  line("", "ours", "grpc-js", "node:http2", "ratio", "target");
  for (const row of rows) {
    const value = compare(measurement, row);
    if (value === undefined) continue;
    const { ours, grpc, http2, ratio } = value;
    const bound = row.target === undefined ? "" : `${row.target}`;
    const target = bound !== "" && row.absolute === true ? `${bound} ${row.unit}` : bound;
    const cells = [ours, grpc, http2].map((figure) => text(figure, row.unit));
    line(row.label, ...cells, row.absolute ? "" : ratio.toFixed(2), target);
  }
  const { doubled, deaf } = changesOf(measurement);
  if (doubled !== undefined) {
    const [after, before] = [text(doubled.after, "ms"), text(doubled.before, "ms")];
    line("unrelated doubled", after, before, "", doubled.ratio.toFixed(2), "1.1");
    line("  server CPU each", "", "", "", doubled.cpuRatio.toFixed(2), "");
  }
  line("a tenth does not read", text(deaf.after, "ms"), text(deaf.before, "ms"), "", deaf.ratio.toFixed(2), "");
  const kilobytes = measurement.deaf.grownBytes / 1000;
  line("  memory it took", `${Math.round(kilobytes)} KB`);
  for (const [when, traffic] of Object.entries(measurement.traffic)) {
    const kinds = Object.entries(traffic).map(
      ([what, { responses, bytes }]) => `${what} ${responses} (${Math.round(bytes / 1000)} KB)`,
    );
    line(`told, ${when}`, ` ${kinds.join(", ")}`);
  }
  console.log(
    `  endpoint changes concern ${measurement.consumers} proxies; ratios are to grpc-js, changes less ${quietMs} ms`,
  );
}

/** Ours by the number of dataplanes. */
export function printGrowth(measurements: readonly Measurement[]): void {
  const line = (label: string, cells: readonly string[]) =>
    console.log(`  ${label.padEnd(29)}${cells.map((cell) => cell.padStart(18)).join("")}`);
  console.log("growth: ours (ratio to grpc-js)");
  line(
    "dataplanes",
    measurements.map(({ dataplanes }) => `${dataplanes}`),
  );
  for (const row of rows) {
    const cells = measurements.map((measurement) => {
      const value = compare(measurement, row);
      if (value === undefined) return "";
      return `${text(value.ours, row.unit)}${row.absolute ? "" : ` (${value.ratio.toFixed(2)})`}`;
    });
    line(row.label, cells);
  }
}

function details(measurement: Measurement) {
  const { consumers, deaf, traffic } = measurement;
  const values = rows.flatMap((row) => {
    const value = compare(measurement, row);
    if (value === undefined) return [];
    const { ours, grpc, http2, ratio } = value;
    const figures = { ours: digits(ours, 3), grpc: digits(grpc, 3), http2: digits(http2, 3), ratio: digits(ratio, 2) };
    return [[row.key, { ...figures, unit: row.unit, ...(row.target === undefined ? {} : { target: row.target }) }]];
  });
  const { doubled, deaf: slowed } = changesOf(measurement);
  const rounded = (of: Record<string, number>) =>
    Object.fromEntries(Object.entries(of).map(([k, v]) => [k, digits(v, 3)]));
  return {
    consumers,
    ...Object.fromEntries(values),
    ...(doubled === undefined ? {} : { doubled: rounded(doubled) }),
    deaf: { ...rounded(slowed), grownBytes: deaf.grownBytes },
    traffic,
  };
}

/** The closing line: ratios of the last measurement, which is the largest as a rule, and details of all. */
export function summary(options: LoadOptions, measurements: readonly Measurement[]) {
  const last = measurements.at(-1);
  const ratios: Record<string, number> = {};
  if (last !== undefined) {
    for (const row of rows) {
      const value = compare(last, row);
      if (value !== undefined && row.absolute !== true) ratios[row.key] = digits(value.ratio, 2);
    }
    const { doubled, deaf } = changesOf(last);
    if (doubled !== undefined) ratios.unrelatedDoubled = digits(doubled.ratio, 2);
    ratios.tenthDoesNotRead = digits(deaf.ratio, 2);
  }
  const bySize = Object.fromEntries(measurements.map((one) => [one.dataplanes, details(one)]));
  return { bench: "xds", ratios, details: { ...options, bySize } };
}
