import { reviewsLimit } from "../kubernetes/admission-endpoint.js";
import type { SkipReason } from "../kubernetes/injection/inject.js";
import { skipReasons } from "../kubernetes/injection/inject.js";
import type { Incidents } from "../net/incidents.js";
import { httpLimitNames } from "../net/limits.js";

/** What became of a request for a pod. */
export type Outcome = "injected" | "refused" | SkipReason;

/** kuma-injector's counters, in Prometheus's text format; names and labels are those of kuma-cp. */
export interface Metrics {
  readonly incidents: Incidents;
  /** Counts a request that was answered. */
  decided(outcome: Outcome): void;
  text(): string;
}

export const metricsType = "text/plain; version=0.0.4; charset=utf-8";

const server = "injector";

/** Counters by the value of one label; all values are there from the start, because a rate needs a first sample. */
function counters<Value extends string>(values: readonly Value[]) {
  const counts = new Map<string, number>(values.map((value) => [value, 0]));
  return {
    count: (value: Value) => void counts.set(value, (counts.get(value) ?? 0) + 1),
    lines: (line: (value: string) => string) =>
      [...counts].map(([value, count]) => `${line(value)} ${count}\n`).join(""),
  };
}

const head = (name: string, help: string) => `# HELP ${name} ${help}\n# TYPE ${name} counter\n`;

export function createMetrics(): Metrics {
  const outcomes = counters<Outcome>(["injected", "refused", ...skipReasons]);
  const refusals = counters<string>([...httpLimitNames, reviewsLimit]);
  let caught = 0;
  return {
    incidents: {
      refused: refusals.count,
      caught() {
        caught += 1;
      },
    },
    decided: outcomes.count,
    text: () =>
      head("injection_requests", "Pods that an API server asked about, by what became of them") +
      outcomes.lines((outcome) => `injection_requests{outcome="${outcome}"}`) +
      head("refusals", "Connections and requests that went beyond a limit and were refused") +
      refusals.lines((limit) => `refusals{server="${server}",limit="${limit}"}`) +
      head("caught_exceptions", "Exceptions of network callbacks; each is a bug, and cost its peer the connection") +
      `caught_exceptions{server="${server}"} ${caught}\n`,
  };
}
