// A process with some of a fleet's proxies: gets them by IPC, connects them all on "go", and tells when they have
// acknowledged what it was asked to watch for.
import { ChannelCredentials } from "@grpc/grpc-js";
import { identityName } from "../../src/envoy/tls.js";
import { createProxy, type ProxyOptions, type ProxyToken, type Servers, type Wanted, wantedBy } from "./storm-proxy.js";

export interface Share {
  readonly kind: "share";
  readonly servers: Servers;
  readonly proxies: readonly ProxyToken[];
  readonly options: ProxyOptions;
}

/** A response that has to come. */
export interface Want {
  readonly what: Wanted;
  /** Text that stands in it; any when left out. */
  readonly mark?: string;
  /** How often; once when left out. */
  readonly times?: number;
}

/** What each of some proxies, by their names, has to acknowledge. */
export interface Expectation {
  readonly proxies: readonly string[];
  readonly wants: readonly Want[];
}

/** What came of one kind, all proxies together. */
export interface Traffic {
  readonly responses: number;
  readonly bytes: number;
}

export type Order =
  | Share
  | { readonly kind: "go" }
  /** Answered by `watching`, and by `seen` once everything expected was acknowledged since. */
  | { readonly kind: "watch"; readonly id: number; readonly expected: readonly Expectation[] }
  /** Answered by `ready`. */
  | { readonly kind: "tokens"; readonly proxies: readonly ProxyToken[] }
  | { readonly kind: "count" }
  /** Begins to keep what the first proxy is told, and gives what was kept so far. */
  | { readonly kind: "record" };

/** Times in milliseconds; those of `done` since "go", `at` on the clock that all processes of a machine share. */
export type ClientReport =
  | { readonly kind: "ready" }
  | {
      readonly kind: "done";
      /** When each proxy had its certificate. */
      readonly certificates: readonly number[];
      /** When the last proxy had everything. */
      readonly complete: number;
      readonly cpuSeconds: number;
    }
  | { readonly kind: "watching"; readonly id: number }
  | { readonly kind: "seen"; readonly id: number; readonly at: number }
  | {
      readonly kind: "counted";
      readonly traffic: Readonly<Partial<Record<Wanted, Traffic>>>;
      readonly cpuSeconds: number;
    }
  /** Bytes in base64. */
  | { readonly kind: "recorded"; readonly responses: readonly { readonly what: Wanted; readonly bytes: string }[] }
  | { readonly kind: "failed"; readonly reason: string };

const tell = (report: ClientReport) => void process.send?.(report);
const now = () => Number(process.hrtime.bigint()) / 1e6;

const cpuSeconds = (since?: NodeJS.CpuUsage) => {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1e6;
};

/** What is still to come, of one watch. */
interface Watch {
  readonly id: number;
  readonly left: Map<string, { what: Wanted; mark: string; times: number }[]>;
}

/** Takes a response into account; true when it was the last one that was missing. */
function fulfil({ left }: Watch, proxy: string, what: Wanted, bytes: Buffer): boolean {
  const wants = left.get(proxy);
  if (wants === undefined) return false;
  for (const want of wants) if (want.what === what && bytes.includes(want.mark)) want.times -= 1;
  const missing = wants.filter(({ times }) => times > 0);
  if (missing.length > 0) left.set(proxy, missing);
  else left.delete(proxy);
  return left.size === 0;
}

function prepare({ servers, proxies, options }: Share) {
  const credentials = options.secrets
    ? ChannelCredentials.createSsl(Buffer.from(servers.root))
    : ChannelCredentials.createInsecure();
  const certificates: number[] = [];
  const traffic: Partial<Record<Wanted, Traffic>> = {};
  const watches = new Map<number, Watch>();
  let begun = 0;
  let cpu = process.cpuUsage();
  const missing = new Map(proxies.map(({ name }) => [name, new Set(wantedBy(options))]));
  const tokens = new Map(proxies.map((proxy) => [proxy.name, proxy]));
  let recording: { what: Wanted; bytes: string }[] | undefined;

  function noteFirst(proxy: string, what: Wanted): void {
    const at = now() - begun;
    const others = missing.get(proxy);
    if (others?.delete(what) !== true) return;
    if (what === identityName) certificates.push(at);
    if (others.size > 0) return;
    missing.delete(proxy);
    if (missing.size === 0) tell({ kind: "done", certificates, complete: at, cpuSeconds: cpuSeconds(cpu) });
  }

  const simulated = proxies.map((proxy, index) =>
    createProxy(servers, credentials, () => tokens.get(proxy.name) ?? proxy, options, {
      acknowledged(what, bytes) {
        const before = traffic[what] ?? { responses: 0, bytes: 0 };
        traffic[what] = { responses: before.responses + 1, bytes: before.bytes + bytes.length };
        if (index === 0) recording?.push({ what, bytes: bytes.toString("base64") });
        noteFirst(proxy.name, what);
        for (const watch of watches.values()) {
          if (!fulfil(watch, proxy.name, what, bytes)) continue;
          watches.delete(watch.id);
          tell({ kind: "seen", id: watch.id, at: now() });
        }
      },
      failed: (error) => tell({ kind: "failed", reason: `${proxy.name}: ${error.message}` }),
    }),
  );

  return {
    go() {
      begun = now();
      cpu = process.cpuUsage();
      for (const proxy of simulated) proxy.start();
    },
    watch(id: number, expected: readonly Expectation[]) {
      const left: Watch["left"] = new Map();
      for (const { proxies: names, wants } of expected) {
        for (const name of names)
          left.set(
            name,
            wants.map(({ what, mark = "", times = 1 }) => ({ what, mark, times })),
          );
      }
      watches.set(id, { id, left });
      tell({ kind: "watching", id });
    },
    replaceTokens(replacements: readonly ProxyToken[]) {
      for (const token of replacements) tokens.set(token.name, token);
      tell({ kind: "ready" });
    },
    count: () => tell({ kind: "counted", traffic, cpuSeconds: cpuSeconds() }),
    record() {
      tell({ kind: "recorded", responses: recording ?? [] });
      recording = [];
    },
  };
}

let part: ReturnType<typeof prepare> | undefined;
// Without the benchmark nobody would ever stop these streams.
process.on("disconnect", () => process.exit(1));

process.on("message", (order: Order) => {
  switch (order.kind) {
    case "share":
      part = prepare(order);
      tell({ kind: "ready" });
      return;
    case "go":
      part?.go();
      return;
    case "watch":
      part?.watch(order.id, order.expected);
      return;
    case "tokens":
      part?.replaceTokens(order.proxies);
      return;
    case "count":
      part?.count();
      return;
    case "record":
      part?.record();
  }
});
