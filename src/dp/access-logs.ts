import type { Logger } from "../lib/logger.js";
import {
  type Address,
  type Collector,
  type CollectorLimits,
  collectorLimits,
  createCollector,
} from "./access-log-collector.js";
import { type FifoEvents, openAccessLogFifo } from "./access-log-fifo.js";
import { createLineSplitter } from "./access-log-lines.js";

/** Forwards what Envoy logs for TCP collectors. */
export interface AccessLogs {
  /** For when Envoy is gone: sends what it logged to its end, for a second at most, and stops. */
  finish(): Promise<void>;
  /** Stops at once. */
  abort(): void;
}

export interface AccessLogOptions {
  readonly directory: string;
  readonly logger: Logger;
  /** Has Envoy open its log files again. */
  readonly reopen: () => Promise<void>;
  readonly limits?: CollectorLimits;
  /** An Envoy that runs writes to the FIFO that is there. */
  readonly existing?: boolean;
}

/** A line longer than this is dropped. */
const longestLine = 64 * 1024;
/** Collectors at a time; a mesh names few. */
const mostCollectors = 64;
const finishMs = 1000;
/** Drops of this long are reported together, and then not again for a minute. */
const firstReportMs = 1000;
const reportPauseMs = 60_000;
/** Longer than Envoy holds lines back before it writes them. */
const oldFifoMs = 2000;

const hostAndPort = /^(?:\[([0-9A-Fa-f:.]+)\]|([^\s:[\]]+)):([0-9]{1,5})$/;

function parseAddress(text: string): Address | undefined {
  const [, bracketed, plain, port] = hostAndPort.exec(text) ?? [];
  const host = bracketed ?? plain;
  return host === undefined || Number(port) < 1 || Number(port) > 65_535 ? undefined : { host, port: Number(port) };
}

/** Counts what is dropped by address and reason, and says so at most once a minute: also a silent collector is busy. */
function createDropReport(logger: Logger) {
  const counts = new Map<string, { lines: number; reason: string }>();
  let timer: NodeJS.Timeout | undefined;
  let quietUntil = 0;

  function report(): void {
    timer = undefined;
    quietUntil = Date.now() + reportPauseMs;
    for (const [address, { lines, reason }] of counts) {
      logger.info("access log lines were dropped", { address, lines, reason });
    }
    counts.clear();
  }

  return {
    add(address: string, lines: number, reason: string): void {
      const count = counts.get(address);
      counts.set(address, { lines: (count?.lines ?? 0) + lines, reason });
      timer ??= setTimeout(report, Math.max(firstReportMs, quietUntil - Date.now())).unref();
    },
    finish(): void {
      clearTimeout(timer);
      if (counts.size > 0) report();
    },
  };
}

/** What can't be meant for anybody: the end that we put into the FIFO ourselves. */
const endMark = Buffer.from(";");

/**
 * Reads the access-log FIFO of the config dir, for as long as this process lives: each line is `host:port;text`, and the
 * text goes to that address, over one connection an address. Nothing that a collector does or fails to do makes Envoy
 * wait: what its bounded buffer has no room for is dropped and counted.
 * @throws UserError("access-logs.no-fifo")
 */
export async function forwardAccessLogs(options: AccessLogOptions): Promise<AccessLogs> {
  const { directory, logger, reopen, limits = collectorLimits, existing = false } = options;
  const drops = createDropReport(logger);
  const collectors = new Map<string, Collector>();
  const fed = new Set<Collector>();
  let ended: (() => void) | undefined;

  function collectorOf(text: string): Collector | undefined {
    const known = collectors.get(text);
    if (known !== undefined) return known;
    const address = parseAddress(text);
    if (address === undefined) return undefined;
    if (collectors.size >= mostCollectors) {
      const [unused] = [...collectors].find(([, collector]) => collector.isIdle()) ?? [];
      if (unused === undefined) return undefined;
      void collectors.get(unused)?.close(AbortSignal.abort());
      collectors.delete(unused);
    }
    const collector = createCollector(address, (lines, reason) => drops.add(text, lines, reason), limits);
    collectors.set(text, collector);
    return collector;
  }

  /** `host:port;text`; an empty line is none. */
  function line(bytes: Buffer): void {
    const cut = bytes.indexOf(";");
    const address = bytes.toString("latin1", 0, Math.max(cut, 0));
    const collector = cut < 0 ? undefined : collectorOf(address);
    if (bytes.equals(endMark)) ended?.();
    else if (collector !== undefined) {
      if (collector.offer(bytes.subarray(cut + 1))) fed.add(collector);
      else drops.add(address, 1, "the collector takes lines more slowly than they come");
    } else if (bytes.length > 0) drops.add("unknown", 1, "the line begins with no address that can be used");
  }

  const events: FifoEvents = {
    reader() {
      const splitter = createLineSplitter(longestLine, line, () => drops.add("unknown", 1, "the line is too long"));
      return (bytes) => {
        splitter.push(bytes);
        // Lines are parts of the buffer that the next bytes are read into.
        for (const collector of fed) collector.flush();
        fed.clear();
      };
    },
    replaced(closeOld) {
      logger.error("the access-log FIFO was lost and has been made again", { directory });
      reopen().then(
        () => void setTimeout(closeOld, oldFifoMs).unref(),
        (error: unknown) => logger.error("Envoy could not be told to open its access log again", { error }),
      );
    },
    failed: (error) => logger.error("the access-log FIFO failed", { error }),
  };
  const fifo = await openAccessLogFifo(directory, events, existing);

  return {
    async finish() {
      const signal = AbortSignal.timeout(finishMs);
      // Behind all that Envoy wrote: when it comes out, nothing is left.
      await new Promise<void>((resolve) => {
        ended = resolve;
        signal.addEventListener("abort", () => resolve(), { once: true });
        fifo.write(Buffer.from(`\n${endMark}\n`));
      });
      fifo.close();
      await Promise.all([...collectors.values()].map((collector) => collector.close(signal)));
      drops.finish();
    },
    abort() {
      fifo.close();
      for (const collector of collectors.values()) void collector.close(AbortSignal.abort());
      drops.finish();
    },
  };
}
