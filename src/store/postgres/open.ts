import { backoff, sleep } from "../../lib/deadline.js";
import { UserError } from "../../lib/errors.js";
import type { OpenedStore, StoreContext } from "../kind.js";
import { createMirror } from "../mirror.js";
import { openConnections, type PostgresOptions } from "./connections.js";
import { DatabaseFailure } from "./failure.js";
import { type Feed, startFeed } from "./feed.js";
import { createInstances } from "./instances.js";
import { createLeadership } from "./leadership.js";
import { prepareDatabase } from "./prepare.js";
import { createPulse } from "./pulse.js";
import { createReader } from "./reader.js";
import { forgetChanges } from "./statements.js";
import { createStore } from "./store.js";

export interface OpenOptions extends Omit<StoreContext, "signal">, Partial<Pick<StoreContext, "signal">> {
  readonly postgres: PostgresOptions;
  /** Whether to create or migrate the schema if needed. */
  readonly migrate: boolean;
  readonly timing?: Partial<Timing>;
}

interface Timing {
  /** Interval of heartbeats, in milliseconds. */
  readonly beatMs: number;
  /** An instance without a heartbeat for this long is dead. */
  readonly deadMs: number;
  /** How long, and how many, changes are kept for instances that were disconnected. */
  readonly retainedMs: number;
  readonly retainedChanges: number;
  readonly cleanUpMs: number;
  /** How long a notification may take to arrive before the connection is replaced. */
  readonly echoMs: number;
}

const usualTiming: Timing = {
  beatMs: 3_000,
  deadMs: 15_000,
  retainedMs: 3_600_000,
  retainedChanges: 100_000,
  cleanUpMs: 60_000,
  echoMs: 2_000,
};

const refusesSettings = (error: unknown) =>
  error instanceof DatabaseFailure && error.sqlState === "08P01" && /startup parameter/.test(error.message);

/**
 * Opens the store in a PostgreSQL database: waits until it is available, creates the schema and reads everything.
 * @throws UserError `store.unusable` for errors that waiting does not fix
 */
export async function openPostgresStore(options: OpenOptions): Promise<OpenedStore> {
  const { logger, signal } = options;
  const waits = backoff({ first: 250, max: 10_000 });
  let serverTimeout = true;
  for (;;) {
    try {
      await prepare(options, serverTimeout);
      return await open(options, serverTimeout);
    } catch (error) {
      if (!(error instanceof DatabaseFailure)) throw error;
      if (serverTimeout && refusesSettings(error)) {
        serverTimeout = false;
        logger.warn(
          "a connection pooler rejects statement_timeout: only kuma-cp itself cancels statements that take too long",
        );
        continue;
      }
      if (error.kind !== "unavailable") throw UserError.of("store.unusable", { reason: error });
      const wait = waits.next();
      logger.error("the database is not available yet; retrying", { reason: error.message, inMs: Math.round(wait) });
      await sleep(wait, signal);
    }
  }
}

/** Uses its own connection, because a failed script may leave a transaction open. */
async function prepare({ postgres, migrate }: OpenOptions, serverTimeout: boolean): Promise<void> {
  const connections = openConnections({ ...postgres, max: 1, serverTimeout });
  try {
    await prepareDatabase(connections, postgres, migrate);
  } finally {
    await connections.close();
  }
}

async function open(options: OpenOptions, serverTimeout: boolean): Promise<OpenedStore> {
  const { postgres, registry, logger, instanceId, pollingIntervalMs } = options;
  const timing = { ...usualTiming, ...options.timing };
  const mirror = createMirror(registry, "name");
  const connections = openConnections({ ...postgres, max: postgres.maxConnections, serverTimeout });
  const instances = createInstances(connections, instanceId, timing);
  const reader = createReader({ connections, registry, mirror, logger });
  const pulse = createPulse(logger, () => instances.interrupted());

  async function catchUp(): Promise<void> {
    try {
      // Retried once: a broken connection does not mean that the database is unavailable.
      await reader.catchUp().catch(() => reader.catchUp());
    } catch (error) {
      pulse.markLost(error);
      throw error;
    }
  }

  const echoChannel = `kuma_${instanceId}`;
  const notify = (payload: string) => connections.run((sql) => sql`SELECT pg_notify(${echoChannel}, ${payload})`);
  let feed: Feed | undefined;
  try {
    feed = await startFeed({
      connect: (handlers) => openConnections({ ...postgres, ...handlers, max: 1, serverTimeout }),
      echoChannel,
      echo: async (payload) => void (await notify(payload)),
      catchUp: () => catchUp().catch(() => {}),
      position: () => mirror.sequence,
      pollingIntervalMs,
      echoMs: timing.echoMs,
      logger,
    });
    if (feed.listening) connections.mayPrepare();
    await reader.catchUp();
    await instances.beat({ channel: echoChannel, payload: "" });
  } catch (error) {
    await feed?.close();
    await connections.close();
    throw error;
  }
  const listening = feed;

  let cleanUpAt = performance.now() + timing.cleanUpMs;
  const living = pulse.keep(timing.beatMs, async () => {
    await listening.check((payload) => instances.beat({ channel: echoChannel, payload }));
    if (pulse.failure !== undefined) await reader.catchUp();
    if (performance.now() < cleanUpAt) return;
    cleanUpAt = performance.now() + timing.cleanUpMs;
    await forgetChanges(connections, timing);
  });

  async function close(): Promise<void> {
    pulse.stop();
    const left = pulse.failure === undefined ? instances.leave().catch(() => {}) : undefined;
    const done = new AbortController();
    await Promise.race([left, sleep(leaveTimeoutMs, done.signal).catch(() => {})]).finally(() => done.abort());
    await Promise.all([listening.close(), connections.close()]);
    await living;
    mirror.close();
  }

  const failure = () => pulse.failure;
  return {
    instances,
    leadership: createLeadership(connections, instanceId, timing),
    store: createStore({ connections, registry, mirror, logger, catchUp, failure, suspect: pulse.check, close }),
  };
}

/** How long leaving may take, in milliseconds; if it fails, the others notice that this instance is dead. */
const leaveTimeoutMs = 500;
