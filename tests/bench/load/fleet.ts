// Simulated proxies in processes of their own, and what they have acknowledged.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { setPriority } from "node:os";
import { fileURLToPath } from "node:url";
import type { ClientReport, Expectation, Order, Traffic } from "../storm-clients.js";
import type { ProxyOptions, ProxyToken, Servers, Wanted } from "../storm-proxy.js";

export interface FleetOptions {
  readonly servers: Servers;
  readonly proxies: readonly ProxyToken[];
  readonly options: ProxyOptions;
  /** How many of the last ones are in a process of their own. */
  readonly apart?: number;
}

/** What all proxies were told since they connected, and what that cost them. */
export interface Count {
  readonly traffic: Readonly<Partial<Record<Wanted, Traffic>>>;
  readonly cpuSeconds: number;
}

/** Times in milliseconds since all proxies began to connect. */
export interface Arrival {
  /** When each proxy had its certificate. */
  readonly certificates: readonly number[];
  /** When the last proxy had everything. */
  readonly complete: number;
  readonly cpuSeconds: number;
}

export interface Recorded {
  readonly what: Wanted;
  readonly bytes: Buffer;
}

export interface Fleet {
  /** Lets all proxies connect at once; resolves when each has everything. */
  connect(): Promise<Arrival>;
  /**
   * Watches from now on for what is expected. Resolves once every process does, with what tells when the last
   * acknowledgement was on its way, on the clock of `now`.
   */
  watch(expected: readonly Expectation[]): Promise<() => Promise<number>>;
  count(): Promise<Count>;
  /** What the first proxy was told since the last call; the first one only begins to keep it. */
  record(): Promise<readonly Recorded[]>;
  /** Tokens for streams that begin from now on. */
  replaceTokens(proxies: readonly ProxyToken[]): Promise<void>;
  /** Stops all proxies, or those that are apart, as they are: they neither read nor answer; or lets them go on. */
  halt(halted: boolean, which?: "all" | "apart"): void;
  close(): Promise<void>;
}

/** Milliseconds on a clock that all processes of this machine share. */
export const now = (): number => Number(process.hrtime.bigint()) / 1e6;

/** How many processes share the proxies, besides the one of those that are apart. */
const processes = 4;
/** 5,000 proxies need most of a minute to connect on two cores. */
const deadlineMs = 300_000;
const clients = fileURLToPath(new URL("../storm-clients.ts", import.meta.url));

type Kind = ClientReport["kind"];
type Of<K extends Kind> = Extract<ClientReport, { kind: K }>;

interface Member {
  readonly child: ChildProcess;
  readonly names: ReadonlySet<string>;
  send(order: Order): void;
  /** The next report of a kind, of one watch when it is about one. */
  told<K extends Kind>(kind: K, id?: number): Promise<Of<K>>;
}

function startMember(proxies: readonly ProxyToken[]): Member {
  const child = fork(clients);
  const waiting = new Set<{ kind: Kind; id: number | undefined; resolve(report: ClientReport): void }>();
  const broken = new Promise<never>((_, reject) => {
    child.on("message", (report: ClientReport) => {
      if (report.kind === "failed") reject(new Error(`a proxy was not served: ${report.reason}`));
      for (const waiter of waiting) {
        if (waiter.kind !== report.kind || (waiter.id !== undefined && "id" in report && waiter.id !== report.id))
          continue;
        waiting.delete(waiter);
        waiter.resolve(report);
        break;
      }
    });
    child.once("exit", (code, signal) => reject(new Error(`a process of proxies ended: ${code ?? signal}`)));
  });
  // Nobody may be waiting for it when it breaks.
  broken.catch(() => {});

  async function told<K extends Kind>(kind: K, id?: number): Promise<Of<K>> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`proxies were not "${kind}" in ${deadlineMs / 1000} s`)), deadlineMs);
    });
    try {
      const report = new Promise<ClientReport>((resolve) => waiting.add({ kind, id, resolve }));
      return (await Promise.race([report, broken, late])) as Of<K>;
    } finally {
      clearTimeout(timer);
    }
  }

  return { child, names: new Set(proxies.map(({ name }) => name)), send: (order) => void child.send(order), told };
}

/** Starts the processes; nothing is connected before `connect`. */
export async function openFleet({ servers, proxies, options, apart = 0 }: FleetOptions): Promise<Fleet> {
  const together = proxies.slice(0, proxies.length - apart);
  const size = Math.ceil(together.length / processes);
  const shares = Array.from({ length: processes }, (_, index) => together.slice(index * size, (index + 1) * size));
  const members = [...shares, proxies.slice(proxies.length - apart)]
    .filter((share) => share.length > 0)
    .map((share) => ({ share, ...startMember(share) }));
  let watches = 0;

  async function close(): Promise<void> {
    await Promise.all(
      members.map(async ({ child }) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const gone = once(child, "exit");
        child.kill("SIGKILL");
        await gone;
      }),
    );
  }

  try {
    await Promise.all(
      members.map(({ share, send, told }) => {
        const ready = told("ready");
        send({ kind: "share", servers, proxies: share, options });
        return ready;
      }),
    );
  } catch (error) {
    await close();
    throw error;
  }
  // They are machines of their own elsewhere: here they must not take the processor away from the server.
  for (const { child } of members) if (child.pid !== undefined) setPriority(child.pid, 10);

  return {
    async connect() {
      const done = Promise.all(members.map(({ told }) => told("done")));
      for (const { send } of members) send({ kind: "go" });
      const reports = await done;
      return {
        certificates: reports.flatMap(({ certificates }) => certificates).sort((a, b) => a - b),
        complete: Math.max(...reports.map(({ complete }) => complete)),
        cpuSeconds: reports.reduce((sum, report) => sum + report.cpuSeconds, 0),
      };
    },
    async watch(expected) {
      const id = watches++;
      const concerned = members.flatMap((member) => {
        const own = expected
          .map(({ proxies: all, wants }) => ({ proxies: all.filter((name) => member.names.has(name)), wants }))
          .filter((expectation) => expectation.proxies.length > 0);
        return own.length === 0 ? [] : [{ ...member, own }];
      });
      const seen = Promise.all(concerned.map(({ told }) => told("seen", id)));
      seen.catch(() => {});
      await Promise.all(
        concerned.map(({ send, told, own }) => {
          const watching = told("watching", id);
          send({ kind: "watch", id, expected: own });
          return watching;
        }),
      );
      return async () => Math.max(...(await seen).map(({ at }) => at));
    },
    async count() {
      const reports = await Promise.all(
        members.map(({ send, told }) => {
          const counted = told("counted");
          send({ kind: "count" });
          return counted;
        }),
      );
      const traffic: Partial<Record<Wanted, Traffic>> = {};
      for (const report of reports) {
        for (const [what, { responses, bytes }] of Object.entries(report.traffic) as [Wanted, Traffic][]) {
          const before = traffic[what] ?? { responses: 0, bytes: 0 };
          traffic[what] = { responses: before.responses + responses, bytes: before.bytes + bytes };
        }
      }
      return { traffic, cpuSeconds: reports.reduce((sum, report) => sum + report.cpuSeconds, 0) };
    },
    async record() {
      const [first] = members;
      if (first === undefined) return [];
      const recorded = first.told("recorded");
      first.send({ kind: "record" });
      return (await recorded).responses.map(({ what, bytes }) => ({ what, bytes: Buffer.from(bytes, "base64") }));
    },
    async replaceTokens(all) {
      await Promise.all(
        members.map(({ names, send, told }) => {
          const ready = told("ready");
          send({ kind: "tokens", proxies: all.filter(({ name }) => names.has(name)) });
          return ready;
        }),
      );
    },
    halt(halted, which = "all") {
      for (const { child } of which === "all" ? members : members.slice(-1)) child.kill(halted ? "SIGSTOP" : "SIGCONT");
    },
    close,
  };
}
