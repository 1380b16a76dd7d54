import { backoff, sleep } from "../../lib/deadline.js";
import type { Logger } from "../../lib/logger.js";
import type { Connections } from "./connections.js";
import { changeChannel } from "./schema.js";

export interface FeedOptions {
  /** Opens one connection that calls back for each notification and when it is closed. */
  readonly connect: (handlers: {
    readonly onNotify: (channel: string, payload: string) => void;
    readonly onClose: () => void;
  }) => Connections;
  /** A channel that only this instance listens to. */
  readonly echoChannel: string;
  /** Notifies that channel from another connection. */
  readonly echo: (payload: string) => Promise<void>;
  /** Reads the changes; never throws. */
  readonly catchUp: () => Promise<void>;
  /** Sequence number of the last change that was read. */
  readonly position: () => number;
  readonly pollingIntervalMs: number;
  /** How long a notification may take to arrive, in milliseconds. */
  readonly echoMs: number;
  readonly logger: Logger;
}

/** Follows changes in the database: by LISTEN where that works, otherwise by polling. */
export interface Feed {
  /** True while notifications arrive; false while it polls. */
  readonly listening: boolean;
  /** Checks that the notification that `send` makes on the echo channel arrives; if not, reconnects. */
  check(send: (payload: string) => Promise<void>): Promise<void>;
  close(): Promise<void>;
}

/** A connection that receives notifications. */
interface Listener {
  readonly ended: Promise<void>;
  disconnect(): Promise<void>;
}

/** The sequence number in a notification; infinite for any other payload, so that it always leads to a read. */
function sequenceOf(payload: string): number {
  try {
    const { sequence } = JSON.parse(payload) as { sequence?: unknown };
    return typeof sequence === "number" ? sequence : Number.POSITIVE_INFINITY;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** How long to poll before LISTEN is tried again. */
const relistenMs = 300_000;

const channelName = (channel: string) => `"${channel.replaceAll('"', '""')}"`;

/**
 * Notifications only say that something has changed. The changes are then read by sequence number, so a notification
 * that is lost with its connection does no harm: each new connection starts with a read.
 */
export async function startFeed(options: FeedOptions): Promise<Feed> {
  const { connect, echoChannel, echo, catchUp, position, pollingIntervalMs, echoMs, logger } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  /** Callbacks for pending echoes by payload, called with whether the echo arrived. */
  const echoes = new Map<string, (arrived: boolean) => void>();
  let listener: Listener | undefined;
  /** The connection that is being opened. */
  let trying: Connections | undefined;
  let warned = false;
  let probes = 0;

  const nextProbe = () => String(probes++);

  function echoArrives(payload: string): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (result: boolean) => {
        clearTimeout(timer);
        echoes.delete(payload);
        resolve(result);
      };
      const timer = setTimeout(() => settle(false), echoMs);
      echoes.set(payload, settle);
    });
  }

  /** Undefined if LISTEN succeeds but no notification arrives. @throws DatabaseFailure */
  async function listen(): Promise<Listener | undefined> {
    let close = () => {};
    const ended = new Promise<void>((resolve) => {
      close = resolve;
    });
    const connections = connect({
      onNotify(channel, payload) {
        if (channel === echoChannel) echoes.get(payload)?.(true);
        // A read in between may already have seen the change.
        else if (sequenceOf(payload) > position()) void catchUp();
      },
      onClose: () => close(),
    });
    trying = connections;
    async function disconnect(): Promise<void> {
      close();
      await connections.close();
    }
    try {
      await connections.script(`LISTEN ${channelName(changeChannel)}; LISTEN ${channelName(echoChannel)}`);
      const payload = nextProbe();
      const arrived = echoArrives(payload);
      await echo(payload);
      if (await arrived) return { ended, disconnect };
      // With luck the pooler uses the same server connection, which then stops listening.
      await connections.script("UNLISTEN *");
    } catch (error) {
      await disconnect();
      throw error;
    } finally {
      trying = undefined;
    }
    await disconnect();
    return undefined;
  }

  async function poll(until: number): Promise<void> {
    while (!signal.aborted && performance.now() < until) {
      await catchUp();
      await sleep(pollingIntervalMs, signal).catch(() => {});
    }
  }

  function warnOnce(): void {
    if (warned) return;
    warned = true;
    logger.warn(
      "PostgreSQL's notifications of changes do not arrive (is there a transaction pooler in between?): the control " +
        "plane polls for changes instead, see KUMA_DISCOVERY_UNIVERSAL_POLLING_INTERVAL",
      { intervalMs: pollingIntervalMs },
    );
  }

  async function follow(first: Listener | undefined): Promise<void> {
    const waits = backoff({ first: 100, max: 2_000 });
    listener = first;
    while (!signal.aborted) {
      await catchUp();
      if (listener === undefined) {
        warnOnce();
        await poll(performance.now() + relistenMs);
      } else {
        await listener.ended;
        await listener.disconnect();
      }
      listener = undefined;
      while (!signal.aborted) {
        try {
          listener = await listen();
          waits.reset();
          break;
        } catch {
          // The heartbeat reports a lost database, and notices it sooner.
          await sleep(waits.next(), signal).catch(() => {});
        }
      }
    }
  }

  const following = follow(await listen());
  return {
    get listening() {
      return listener !== undefined;
    },
    async check(send) {
      const checked = listener;
      const payload = nextProbe();
      const arrived = echoArrives(payload);
      await send(payload);
      void arrived.then((yes) => {
        if (!yes && !signal.aborted) void checked?.disconnect();
      });
    },
    async close() {
      stopping.abort();
      for (const settle of echoes.values()) settle(false);
      await Promise.all([listener?.disconnect(), trying?.close()]);
      await following;
    },
  };
}
