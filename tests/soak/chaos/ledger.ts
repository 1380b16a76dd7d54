import type { Connection } from "./traffic.js";

/** Connections that may fail during an event. Fields left out match all. */
export interface Allowance {
  readonly kind?: Connection["kind"];
  readonly client?: string;
  readonly service?: string;
  /** The instance that the connection was with; one that failed before any instance answered matches, too. */
  readonly server?: string;
  /** Seconds from the event's start in which it may fail. */
  readonly forSeconds: number;
  /** How many may fail in one run of the event; any number when left out. */
  readonly atMost?: number;
  /** One sentence: why that can't be avoided. */
  readonly why: string;
}

/** A failed connection that no allowance covers. */
export interface Violation {
  readonly event: string;
  readonly connection: Connection;
  /** Seconds from the event's start until the connection failed. */
  readonly afterSeconds: number;
}

/** What happened to connections during all events of one name. */
export interface Row {
  readonly event: string;
  runs: number;
  made: number;
  /** Failures that were allowed, by cause. */
  readonly allowed: Map<string, { failed: number; lastSeconds: number; forSeconds: number }>;
  denied: number;
  /** The longest time in which a flow had no successful connection, in milliseconds, and which flow that was. */
  gapMs: number;
  gapFlow: string;
}

export interface Ledger {
  /** Begins an event; the one before has to be over. Failures are judged by its allowances from now on. */
  begin(event: string, mayFail: readonly Allowance[]): void;
  /** Ends the event: what begins to fail after this is counted as `between events`, where nothing may. */
  settle(): void;
  record(connection: Connection): void;
  /** Connections that ended well so far, by flow (`client to service`). */
  readonly succeeded: ReadonlyMap<string, number>;
  /** When the last failure was recorded, allowed or not; -Infinity when there was none. */
  lastFailure(): number;
  rows(): readonly Row[];
  /** The first violations; `Row.denied` counts all of them. */
  readonly violations: readonly Violation[];
}

export const betweenEvents = "between events";
const keptViolations = 50;

interface Window {
  readonly event: string;
  readonly begin: number;
  end: number;
  readonly mayFail: readonly Allowance[];
  /** How many failures each allowance has covered. */
  readonly used: Map<Allowance, number>;
}

function covers(
  allowance: Allowance,
  window: Window,
  { kind, client, service, server, from, to }: Connection,
): boolean {
  const until = Math.min(window.begin + allowance.forSeconds * 1000, window.end);
  return (
    (allowance.kind === undefined || allowance.kind === kind) &&
    (allowance.client === undefined || allowance.client === client) &&
    (allowance.service === undefined || allowance.service === service) &&
    (allowance.server === undefined || server === undefined || allowance.server === server) &&
    (window.used.get(allowance) ?? 0) < (allowance.atMost ?? Number.POSITIVE_INFINITY) &&
    to >= window.begin &&
    // A long-lived connection fails when it ends; a new one may have begun to fail before it is given up.
    (kind === "long" ? to : from) <= until
  );
}

/** An empty ledger of connections. `now` gives the milliseconds that connections are timed by. */
export function openLedger(now: () => number = () => performance.now()): Ledger {
  const rows = new Map<string, Row>();
  const violations: Violation[] = [];
  const succeeded = new Map<string, number>();
  const lastSuccess = new Map<string, number>();
  let lastFailure = Number.NEGATIVE_INFINITY;
  const quiet = (): Window => ({
    event: betweenEvents,
    begin: now(),
    end: Number.POSITIVE_INFINITY,
    mayFail: [],
    used: new Map(),
  });
  let current = quiet();
  /** A connection that fails late is judged by the event that broke it, which may be over. */
  let before: Window | undefined;

  function rowOf(event: string): Row {
    const known = rows.get(event);
    if (known !== undefined) return known;
    const row: Row = { event, runs: 0, made: 0, allowed: new Map(), denied: 0, gapMs: 0, gapFlow: "" };
    rows.set(event, row);
    return row;
  }

  function enter(window: Window): void {
    current.end = now();
    before = current;
    current = window;
    rowOf(window.event).runs += 1;
  }

  function fail(connection: Connection): void {
    lastFailure = Math.max(lastFailure, connection.to);
    for (const window of before === undefined ? [current] : [current, before]) {
      const allowance = window.mayFail.find((candidate) => covers(candidate, window, connection));
      if (allowance === undefined) continue;
      window.used.set(allowance, (window.used.get(allowance) ?? 0) + 1);
      const row = rowOf(window.event);
      const seconds = (connection.to - window.begin) / 1000;
      const { failed, lastSeconds } = row.allowed.get(allowance.why) ?? { failed: 0, lastSeconds: 0 };
      row.allowed.set(allowance.why, {
        failed: failed + 1,
        lastSeconds: Math.max(lastSeconds, seconds),
        forSeconds: allowance.forSeconds,
      });
      return;
    }
    const { event, begin } = current;
    rowOf(event).denied += 1;
    const afterSeconds = (connection.to - begin) / 1000;
    if (violations.length < keptViolations) violations.push({ event, connection, afterSeconds });
  }

  rowOf(betweenEvents);
  return {
    begin(event, mayFail) {
      enter({ event, begin: now(), end: Number.POSITIVE_INFINITY, mayFail, used: new Map() });
    },
    settle: () => enter(quiet()),
    record(connection) {
      const row = rowOf(current.event);
      row.made += 1;
      if (connection.error !== undefined) {
        fail(connection);
        return;
      }
      const flow = `${connection.client} to ${connection.service}`;
      succeeded.set(flow, (succeeded.get(flow) ?? 0) + 1);
      if (connection.kind === "long") return;
      const gap = connection.to - (lastSuccess.get(flow) ?? connection.to);
      lastSuccess.set(flow, connection.to);
      if (gap <= row.gapMs) return;
      row.gapMs = gap;
      row.gapFlow = flow;
    },
    succeeded,
    lastFailure: () => lastFailure,
    rows: () => [...rows.values()],
    violations,
  };
}
