import { backoff, sleep } from "../../lib/deadline.js";
import type { Logger } from "../../lib/logger.js";
import type { Connections } from "./connections.js";
import { changeChannel } from "./schema.js";

export interface FeedOptions {
  /** One connection, which calls back for each announcement and when it has ended. */
  readonly connect: (handlers: {
    readonly onNotify: (channel: string, payload: string) => void;
    readonly onClose: () => void;
  }) => Connections;
  /** A channel of this instance's own. */
  readonly echoChannel: string;
  /** Announces on it from another connection. */
  readonly echo: (payload: string) => Promise<void>;
  /** Reads what has changed; never throws. */
  readonly catchUp: () => Promise<void>;
  /** The number of the last change that was read. */
  readonly position: () => number;
  readonly pollingIntervalMs: number;
  /** How long an announcement may take to arrive. */
  readonly echoMs: number;
  readonly logger: Logger;
}

/** Hears of changes as they are made: by LISTEN where that works, by asking now and then where it does not. */
export interface Feed {
  /** True while announcements arrive; false while it polls. */
  readonly listening: boolean;
  /** Makes sure that what `send` announces on the echo channel arrives; otherwise the connection is made anew. */
  check(send: (payload: string) => Promise<void>): Promise<void>;
  close(): Promise<void>;
}

/** A connection that announcements reach. */
interface Line {
  readonly ended: Promise<void>;
  hangUp(): Promise<void>;
}

/** The number of the change that an announcement tells of; anything else that is announced may mean anything. */
function sequenceOf(payload: string): number {
  try {
    const { sequence } = JSON.parse(payload) as { sequence?: unknown };
    return typeof sequence === "number" ? sequence : Number.POSITIVE_INFINITY;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** How long polling goes on before LISTEN is tried again. */
const relistenMs = 300_000;

const channelName = (channel: string) => `"${channel.replaceAll('"', '""')}"`;

/**
 * Announcements only say that something has changed. What has changed is read by number afterwards, so that one that is
 * lost with its connection costs nothing: each new connection begins with a look.
 */
export async function startFeed(options: FeedOptions): Promise<Feed> {
  const { connect, echoChannel, echo, catchUp, position, pollingIntervalMs, echoMs, logger } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  /** Who waits for which echo, and is told whether it came. */
  const echoes = new Map<string, (arrived: boolean) => void>();
  let line: Line | undefined;
  /** The connection that is being made into a line. */
  let trying: Connections | undefined;
  let said = false;
  let probes = 0;

  const nextProbe = () => String(probes++);

  function heard(payload: string): Promise<boolean> {
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

  /** Undefined where LISTEN is taken but nothing arrives. @throws DatabaseFailure */
  async function listen(): Promise<Line | undefined> {
    let close = () => {};
    const ended = new Promise<void>((resolve) => {
      close = resolve;
    });
    const connections = connect({
      onNotify(channel, payload) {
        if (channel === echoChannel) echoes.get(payload)?.(true);
        // Who reads in between may have been faster than the announcement.
        else if (sequenceOf(payload) > position()) void catchUp();
      },
      onClose: () => close(),
    });
    trying = connections;
    async function hangUp(): Promise<void> {
      close();
      await connections.close();
    }
    try {
      await connections.script(`LISTEN ${channelName(changeChannel)}; LISTEN ${channelName(echoChannel)}`);
      const payload = nextProbe();
      const arrived = heard(payload);
      await echo(payload);
      if (await arrived) return { ended, hangUp };
      // With luck it is the pooler's same connection that stops to announce what nobody hears.
      await connections.script("UNLISTEN *");
    } catch (error) {
      await hangUp();
      throw error;
    } finally {
      trying = undefined;
    }
    await hangUp();
    return undefined;
  }

  async function poll(until: number): Promise<void> {
    while (!signal.aborted && performance.now() < until) {
      await catchUp();
      await sleep(pollingIntervalMs, signal).catch(() => {});
    }
  }

  function sayOnce(): void {
    if (said) return;
    said = true;
    logger.info(
      "warning: announcements of changes do not arrive (is there a transaction pooler in between?); " +
        "changes are polled for instead, see KUMA_DISCOVERY_UNIVERSAL_POLLING_INTERVAL",
      { intervalMs: pollingIntervalMs },
    );
  }

  async function attend(first: Line | undefined): Promise<void> {
    const waits = backoff({ first: 100, max: 2_000 });
    line = first;
    while (!signal.aborted) {
      await catchUp();
      if (line === undefined) {
        sayOnce();
        await poll(performance.now() + relistenMs);
      } else {
        await line.ended;
        await line.hangUp();
      }
      line = undefined;
      while (!signal.aborted) {
        try {
          line = await listen();
          waits.reset();
          break;
        } catch {
          // Whether the database is lost is for others to say: they ask more often than we listen.
          await sleep(waits.next(), signal).catch(() => {});
        }
      }
    }
  }

  const attending = attend(await listen());
  return {
    get listening() {
      return line !== undefined;
    },
    async check(send) {
      const checked = line;
      const payload = nextProbe();
      const arrived = heard(payload);
      await send(payload);
      void arrived.then((yes) => {
        if (!yes && !signal.aborted) void checked?.hangUp();
      });
    },
    async close() {
      stopping.abort();
      for (const settle of echoes.values()) settle(false);
      await Promise.all([line?.hangUp(), trying?.close()]);
      await attending;
    },
  };
}
