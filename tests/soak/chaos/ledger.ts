import type { Connection } from "./traffic.js";

/** Connections that may fail during an event. Fields left out match all. */
export interface Allowance {
  readonly kind?: Connection["kind"];
  readonly client?: string;
  readonly service?: string;
  /** The instance that the connection was with; one that failed before any instance answered matches, too. */
  readonly server?: string;
  /** Seconds in which it may fail, counted from the event's start. */
  readonly forSeconds: number;
  /** Counts them from each moment of this name of a sidecar on the connection's path instead. */
  readonly since?: string;
  /** Covers only what began before its client's sidecar had a moment of this name. */
  readonly until?: string;
  /** How many may fail in one run of the event; any number when left out. */
  readonly atMost?: number;
  /** One sentence: why that can't be avoided. */
  readonly why: string;
}

/** Something that a sidecar did, from or until which connections may fail. */
export interface Moment {
  readonly name: string;
  /** Whose sidecar it was, and the service that it belongs to. */
  readonly member: string;
  readonly service: string;
  readonly at: number;
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
  /** How many of these were tried in plaintext while mTLS was on. */
  plaintext: number;
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
  /** Tells when something happened during the event. Failures that depend on moments are judged when it is over. */
  mark(moment: Moment): void;
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

/** A connection that gets no answer is given up after 10 s; on a busy machine that is noticed a little later. */
const longestFailureMs = 15_000;

/** A sidecar acts on what it received a little earlier than it says that it did. */
const earlyMs = 100;

interface Window {
  readonly event: string;
  readonly begin: number;
  end: number;
  readonly mayFail: readonly Allowance[];
  /** How many failures each allowance has covered. */
  readonly used: Map<Allowance, number>;
  readonly moments: Moment[];
  /** Failures whose explaining events are recorded later. */
  readonly waiting: Connection[];
}

const onPath = ({ member, service }: Moment, { client, server, service: to }: Connection) =>
  member === client || (server === undefined ? service === to : member === server);

/** The times from which the seconds of an allowance count, latest first. */
function beginnings({ since }: Allowance, { begin, moments }: Window, connection: Connection): readonly number[] {
  if (since === undefined) return [begin];
  return moments
    .filter((moment) => moment.name === since && onPath(moment, connection))
    .map(({ at }) => at)
    .sort((one, other) => other - one);
}

function inTime({ until }: Allowance, { moments }: Window, { client, from }: Connection): boolean {
  if (until === undefined) return true;
  return moments.some(({ name, member, at }) => name === until && member === client && from <= at);
}

/** A long-lived connection fails when it ends; a new one may have begun to fail before it is given up. */
const failedAt = ({ kind, from, to }: Connection) => (kind === "long" ? to : from);

/** The time from which the seconds of an allowance count that covers a failure; undefined when it does not. */
function covered(allowance: Allowance, window: Window, connection: Connection): number | undefined {
  const { kind, client, service, server, to } = connection;
  const fits =
    (allowance.kind === undefined || allowance.kind === kind) &&
    (allowance.client === undefined || allowance.client === client) &&
    (allowance.service === undefined || allowance.service === service) &&
    (allowance.server === undefined || server === undefined || allowance.server === server) &&
    (window.used.get(allowance) ?? 0) < (allowance.atMost ?? Number.POSITIVE_INFINITY) &&
    inTime(allowance, window, connection);
  if (!fits) return undefined;
  return beginnings(allowance, window, connection).find((begin) => {
    const early = allowance.since === undefined ? 0 : earlyMs;
    return to >= begin - early && failedAt(connection) <= Math.min(begin + allowance.forSeconds * 1000, window.end);
  });
}

const depends = ({ since, until }: Allowance) => since !== undefined || until !== undefined;

/** An empty ledger of connections. `now` gives the milliseconds that connections are timed by. */
export function openLedger(now: () => number = () => performance.now()): Ledger {
  const rows = new Map<string, Row>();
  const violations: Violation[] = [];
  const succeeded = new Map<string, number>();
  const lastSuccess = new Map<string, number>();
  let lastFailure = Number.NEGATIVE_INFINITY;
  const open = (event: string, mayFail: readonly Allowance[]): Window => ({
    event,
    begin: now(),
    end: Number.POSITIVE_INFINITY,
    mayFail,
    used: new Map(),
    moments: [],
    waiting: [],
  });
  const quiet = () => open(betweenEvents, []);
  let current = quiet();
  /** A connection that fails late is judged by the event that broke it, which may be over, and others after it as well. */
  let earlier: readonly Window[] = [];

  function rowOf(event: string): Row {
    const known = rows.get(event);
    if (known !== undefined) return known;
    const row: Row = { event, runs: 0, made: 0, plaintext: 0, allowed: new Map(), denied: 0, gapMs: 0, gapFlow: "" };
    rows.set(event, row);
    return row;
  }

  function enter(window: Window): void {
    current.end = now();
    const over = current;
    for (const connection of over.waiting.splice(0)) if (!allowed(connection)) deny(connection, over);
    earlier = [over, ...earlier].filter(({ end }) => end >= now() - longestFailureMs);
    current = window;
    rowOf(window.event).runs += 1;
  }

  /** Whether an allowance of this event or of an earlier one covers a failure, which is then counted as its. */
  function allowed(connection: Connection): boolean {
    for (const window of [current, ...earlier]) {
      for (const allowance of window.mayFail) {
        const since = covered(allowance, window, connection);
        if (since === undefined) continue;
        window.used.set(allowance, (window.used.get(allowance) ?? 0) + 1);
        const row = rowOf(window.event);
        const seconds = (failedAt(connection) - since) / 1000;
        const { failed, lastSeconds } = row.allowed.get(allowance.why) ?? { failed: 0, lastSeconds: 0 };
        row.allowed.set(allowance.why, {
          failed: failed + 1,
          lastSeconds: Math.max(lastSeconds, seconds),
          forSeconds: allowance.forSeconds,
        });
        return true;
      }
    }
    return false;
  }

  function deny(connection: Connection, { event, begin }: Window): void {
    rowOf(event).denied += 1;
    const afterSeconds = (connection.to - begin) / 1000;
    if (violations.length < keptViolations) violations.push({ event, connection, afterSeconds });
  }

  function fail(connection: Connection): void {
    lastFailure = Math.max(lastFailure, connection.to);
    if (current.mayFail.some(depends)) current.waiting.push(connection);
    else if (!allowed(connection)) deny(connection, current);
  }

  rowOf(betweenEvents);
  return {
    begin: (event, mayFail) => enter(open(event, mayFail)),
    settle: () => enter(quiet()),
    mark: (moment) => void current.moments.push(moment),
    record(connection) {
      const row = rowOf(current.event);
      row.made += 1;
      if (connection.kind === "plaintext") row.plaintext += 1;
      if (connection.error !== undefined) {
        fail(connection);
        return;
      }
      if (connection.kind === "plaintext") return;
      const flow = `${connection.client} to ${connection.service}`;
      succeeded.set(flow, (succeeded.get(flow) ?? 0) + 1);
      if (connection.kind !== "new") return;
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
