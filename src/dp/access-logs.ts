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

/** Forwards Envoy's access logs to TCP collectors. */
export interface AccessLogs {
  /** Call it once Envoy has exited: sends the rest of its logs, for a second at most, and stops. */
  finish(): Promise<void>;
  /** Stops immediately. */
  abort(): void;
}

export interface AccessLogOptions {
  readonly directory: string;
  readonly logger: Logger;
  /** Makes Envoy reopen its log files. */
  readonly reopen: () => Promise<void>;
  readonly limits?: CollectorLimits;
  /** Keep the FIFO that is there, because a running Envoy writes to it. */
  readonly existing?: boolean;
}

/** Longer lines are dropped. */
const longestLine = 64 * 1024;
/** Most collectors at a time; a mesh has few. */
const mostCollectors = 64;
const finishMs = 1000;
/** Drops within this time are reported together; the next report comes a minute later at the earliest. */
const firstReportMs = 1000;
const reportPauseMs = 60_000;
/** Longer than Envoy's flush interval. */
const oldFifoMs = 2000;

const hostAndPort = /^(?:\[([0-9A-Fa-f:.]+)\]|([^\s:[\]]+)):([0-9]{1,5})$/;

function parseAddress(text: string): Address | undefined {
  const [, bracketed, plain, port] = hostAndPort.exec(text) ?? [];
  const host = bracketed ?? plain;
  return host === undefined || Number(port) < 1 || Number(port) > 65_535 ? undefined : { host, port: Number(port) };
}

/** Counts dropped lines by address and reason and logs the counts at most once a minute. */
function createDropReport(logger: Logger) {
  const counts = new Map<string, { lines: number; reason: string }>();
  let timer: NodeJS.Timeout | undefined;
  let quietUntil = 0;

  function report(): void {
    timer = undefined;
    quietUntil = Date.now() + reportPauseMs;
    for (const [address, { lines, reason }] of counts) {
      logger.warn("access log lines were dropped", { address, lines, reason });
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

/** No line of Envoy's: the mark that we write at the end of the FIFO ourselves. */
const endMark = Buffer.from(";");

/**
 * Reads the access-log FIFO of the config dir until this process exits. Each line is `host:port;text`; the text is sent
 * to that address, over one connection per address. A collector can never block Envoy: lines that do not fit into its
 * bounded buffer are dropped and counted.
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

  /** Parses `host:port;text`. Empty lines are ignored. */
  function line(bytes: Buffer): void {
    const cut = bytes.indexOf(";");
    const address = bytes.toString("latin1", 0, Math.max(cut, 0));
    const collector = cut < 0 ? undefined : collectorOf(address);
    if (bytes.equals(endMark)) ended?.();
    else if (collector !== undefined) {
      if (collector.offer(bytes.subarray(cut + 1))) fed.add(collector);
      else drops.add(address, 1, "the collector reads lines more slowly than they arrive");
    } else if (bytes.length > 0) drops.add("unknown", 1, "the line does not begin with a usable address");
  }

  const events: FifoEvents = {
    reader() {
      const splitter = createLineSplitter(longestLine, line, () => drops.add("unknown", 1, "the line is too long"));
      return (bytes) => {
        splitter.push(bytes);
        // Lines point into the read buffer, which the next read overwrites.
        for (const collector of fed) collector.flush();
        fed.clear();
      };
    },
    replaced(closeOld) {
      logger.error("the access-log FIFO was lost and has been recreated", { directory });
      reopen().then(
        () => void setTimeout(closeOld, oldFifoMs).unref(),
        (error: unknown) => logger.error("Envoy could not be made to reopen its access log", { error }),
      );
    },
    failed: (error) => logger.error("the access-log FIFO failed", { error }),
  };
  const fifo = await openAccessLogFifo(directory, events, existing);

  return {
    async finish() {
      const signal = AbortSignal.timeout(finishMs);
      // Written after everything from Envoy: once it is read, nothing is left.
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
