// One measurement: a mesh of one size, on our control plane and on the two floors in turns.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { openFilesLimit } from "../../../src/net/open-files.js";
import { UsageError } from "../../support/usage-error.js";
import type { Expectation } from "../storm-clients.js";
import { type ProxyOptions, wantedBy } from "../storm-proxy.js";
import { type LoadedControlPlane, startLoadedControlPlane } from "./control-plane.js";
import { type Arrival, type Count, type Fleet, openFleet, type Recorded } from "./fleet.js";
import { type Floor, type Push, startFloor } from "./floor.js";
import { createLoadMesh, type LoadMesh } from "./mesh.js";
import type { LoadOptions } from "./options.js";
import { cpuSecondsOf, residentBytesOf } from "./process-cost.js";
import { firstOfEach, revive, timeOfChange, timeOfReturn, timeToLast, wantedOnReturn } from "./scenarios.js";

/** How long a span took, and the processor time that it cost the server. */
export interface Span {
  readonly ms: number;
  readonly cpuSeconds: number;
}

/** Many changes of one kind. */
export interface Series {
  /** One for each change, in milliseconds. */
  readonly ms: readonly number[];
  /** Of the server, all changes together, with what it does of them afterwards. */
  readonly cpuSeconds: number;
}

/** What was measured of one server. */
export interface Figures {
  readonly connect: Span;
  readonly endpoint: Series;
  readonly permission: Series | undefined;
  readonly check: Series;
  readonly roll: Span;
  readonly restart: Span;
  /** Of one core, from 0 to 1. */
  readonly idleCpu: number;
  /** Memory above the empty process, for each proxy: when all have connected, and after all that follows. */
  readonly residentBytes: { readonly connected: number; readonly later: number };
}

export type Server = "ours" | "grpc" | "http2";

export interface Measurement {
  readonly dataplanes: number;
  /** How many proxies hear of a change of one endpoint. */
  readonly consumers: number;
  readonly figures: Readonly<Record<Server, Figures>>;
  /** Changes of an endpoint before and after everything unrelated has doubled; undefined where there is no room for that. */
  readonly doubled: { readonly before: Series; readonly after: Series } | undefined;
  /** Changes of an endpoint while a tenth of the proxies neither reads nor answers, and the memory that this took. */
  readonly deaf: { readonly before: Series; readonly during: Series; readonly grownBytes: number };
  /** What all proxies of ours were told until then. */
  readonly traffic: { readonly connect: Count["traffic"]; readonly all: Count["traffic"] };
}

/** Changes of each kind, in blocks between which servers take turns. */
const blocks = { endpoint: [8, 25], permission: [5, 4], check: [5, 4], unrelated: [2, 50] } as const;
/** Longer than the control plane takes to write what it has seen into the store. */
const settleMs = 1_300;
const idleMs = 30_000;
/** What a server has open besides its streams: one of configuration a proxy and, with mTLS, two of secrets. */
const otherFiles = 500;

type Kind = "endpoint" | "permission" | "check";

const changeOf = (mesh: LoadMesh, kind: Kind, round: number) =>
  ({ endpoint: mesh.moveEndpoint, permission: mesh.permitEverywhere, check: mesh.checkEverywhere })[kind](round);

/** A server with proxies on it. */
interface Side {
  readonly fleet: Fleet;
  readonly pid: () => number;
  readonly emptyBytes: number;
  /** When all proxies had connected. */
  readonly connectedBytes: number;
  readonly arrival: Span;
  /** Resolves with the time until the last acknowledgement. */
  change(kind: Kind, round: number): Promise<number>;
  roll(): Promise<number>;
  restart(): Promise<number>;
}

async function costing<T>(pid: () => number, body: () => Promise<T>): Promise<{ result: T; cpuSeconds: number }> {
  const before = cpuSecondsOf(pid());
  const result = await body();
  return { result, cpuSeconds: cpuSecondsOf(pid()) - before };
}

async function connect(fleet: Fleet, pid: () => number): Promise<Span> {
  const { result, cpuSeconds } = await costing<Arrival>(pid, () => fleet.connect());
  return { ms: result.complete, cpuSeconds };
}

async function series(
  side: Pick<Side, "pid">,
  count: number,
  body: (round: number) => Promise<number>,
): Promise<Series> {
  const { result, cpuSeconds } = await costing(side.pid, async () => {
    const ms: number[] = [];
    for (let round = 0; round < count; round++) ms.push(await body(round));
    await sleep(settleMs);
    return ms;
  });
  return { ms: result, cpuSeconds };
}

const joined = (all: readonly Series[]): Series => ({
  ms: all.flatMap(({ ms }) => ms),
  cpuSeconds: all.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0),
});

/** Rounds of changes never repeat, as the same content would be told to nobody. */
function createRounds(): (kind: Kind) => number {
  const last = { endpoint: 0, permission: 0, check: 0 };
  return (kind) => ++last[kind];
}

export async function measure(
  dataplanes: number,
  options: LoadOptions,
  say: (text: string) => void,
): Promise<Measurement> {
  const { services, outbounds, policies, mtls, mode, store } = options;
  const limit = openFilesLimit() ?? Number.POSITIVE_INFINITY;
  const files = dataplanes * (mtls ? 3 : 1) + otherFiles;
  if (files > limit) {
    const allowed = `the control plane needs ${files} open files, and the system allows ${limit} (ulimit -n)`;
    throw new UsageError(`--dataplanes is ${dataplanes}: ${allowed}`);
  }
  const directory = mkdtempSync(path.join(tmpdir(), "kuma-load-"));
  const closing: (() => Promise<void>)[] = [];
  const mesh = createLoadMesh({ dataplanes, services, outbounds, policies, mtls });
  const behaviour: ProxyOptions = { mode, secrets: mtls, persistent: true };
  const wanted = wantedBy(behaviour);
  const nextRound = createRounds();

  async function fleetFor(
    servers: LoadedControlPlane["servers"],
    of: LoadMesh,
    cp?: LoadedControlPlane,
  ): Promise<Fleet> {
    // As long as a token is.
    const proxies =
      cp === undefined
        ? of.proxies.map((name) => ({ mesh: "default", name, token: "x".repeat(700) }))
        : await cp.tokens(of);
    const fleet = await openFleet({ servers, proxies, options: behaviour, apart: Math.floor(dataplanes / 10) });
    closing.push(() => fleet.close());
    return fleet;
  }

  try {
    const cp = await startLoadedControlPlane(directory, store);
    closing.push(() => cp.close());
    await sleep(settleMs);
    const emptyBytes = residentBytesOf(cp.pid());
    say("fills the store");
    await cp.fill(mesh);
    const fleet = await fleetFor(cp.servers, mesh, cp);
    await sleep(settleMs);
    say("connects");
    await fleet.record();
    const arrival = await connect(fleet, cp.pid);
    const answers = firstOfEach(await fleet.record());
    await sleep(settleMs);
    const connectedBytes = residentBytesOf(cp.pid());
    const connectTraffic = (await fleet.count()).traffic;
    const backAgain: Expectation[] = [
      { proxies: mesh.proxies, wants: wantedOnReturn(wanted, mode).map((what) => ({ what })) },
    ];
    const ours: Side = {
      fleet,
      pid: cp.pid,
      emptyBytes,
      connectedBytes,
      arrival,
      change: (kind, round) => timeOfChange(cp, fleet, changeOf(mesh, kind, round)),
      roll: () => timeOfChange(cp, fleet, mesh.roll(1)),
      restart: () => timeOfReturn(fleet, backAgain, () => revive(cp, fleet, mesh, store)),
    };

    say("records what the floors are to say");
    const kinds: readonly Kind[] = mtls ? ["endpoint", "permission", "check"] : ["endpoint", "check"];
    const recordings = new Map<Kind, { readonly round: number; readonly batch: readonly Buffer[] }>();
    for (const kind of kinds) {
      // The first one creates what the others change.
      await ours.change(kind, nextRound(kind));
      await fleet.record();
      const round = nextRound(kind);
      await ours.change(kind, round);
      recordings.set(kind, { round, batch: (await fleet.record()).map(({ bytes }) => bytes) });
    }
    await timeOfChange(cp, fleet, mesh.roll(0));
    const rolled = (await fleet.record()).filter(({ what }) => what === "eds").map(({ bytes }) => bytes);

    const floors: Partial<Record<"grpc" | "http2", Side>> = {};
    let answersOnReturn: readonly Recorded[] = [];
    for (const engine of ["grpc", "http2"] as const) {
      say(`connects to the floor by ${engine}`);
      const to = mesh.proxies;
      const pushes: Record<string, Push> = {
        roll: {
          to,
          every: Math.max(1, Math.floor(dataplanes / rolled.length)),
          batches: rolled.map((bytes) => [bytes]),
        },
      };
      for (const [kind, { round, batch }] of recordings) {
        const concerned = changeOf(mesh, kind, round).expected.flatMap(({ proxies }) => proxies);
        pushes[kind] = { to: concerned, every: 1, batches: [batch] };
      }
      const pair = mtls ? cp.pair : undefined;
      const floor: Floor = await startFloor({ engine, mode, pair, answers, pushes, directory });
      closing.push(() => floor.close());
      const floorFleet = await fleetFor(floor.servers, mesh);
      await sleep(settleMs);
      const floorEmptyBytes = residentBytesOf(floor.pid());
      const floorArrival = await connect(floorFleet, floor.pid);
      await sleep(settleMs);
      floors[engine] = {
        fleet: floorFleet,
        pid: floor.pid,
        emptyBytes: floorEmptyBytes,
        connectedBytes: residentBytesOf(floor.pid()),
        arrival: floorArrival,
        async change(kind) {
          const { writes, expected } = changeOf(mesh, kind, recordings.get(kind)?.round ?? 0);
          return timeToLast(floorFleet, expected, async () => {
            for (const { body } of writes) await floor.push(kind, body);
          });
        },
        async roll() {
          const expected = [{ proxies: to, wants: [{ what: "eds" as const, times: rolled.length }] }];
          return timeToLast(floorFleet, expected, async () => {
            for (const { body } of mesh.roll(1).writes) await floor.push("roll", body);
          });
        },
        restart: () => timeOfReturn(floorFleet, backAgain, () => floor.restart(answersOnReturn)),
      };
    }
    const sides = { ours, ...floors } as Record<Server, Side>;
    const each = Object.entries(sides) as [Server, Side][];

    const changes = new Map<Server, Map<Kind, Series[]>>(each.map(([server]) => [server, new Map()]));
    for (const kind of kinds) {
      say(`changes: ${kind}`);
      const [count, length] = blocks[kind];
      for (let block = 0; block < count; block++) {
        for (const [server, side] of each) {
          const measured = await series(side, length, () => side.change(kind, nextRound(kind)));
          const known = changes.get(server)?.get(kind) ?? [];
          changes.get(server)?.set(kind, [...known, measured]);
        }
      }
    }

    say("changes every dataplane");
    const rolls = new Map<Server, Span>();
    for (const [server, side] of each) {
      const { ms, cpuSeconds } = await series(side, 1, side.roll);
      rolls.set(server, { ms: ms[0] ?? Number.NaN, cpuSeconds });
    }

    say("idles");
    await sleep(settleMs);
    const before = each.map(([, { pid }]) => cpuSecondsOf(pid()));
    await sleep(idleMs);
    const idle = new Map(
      each.map(([server, { pid }], index) => [server, (cpuSecondsOf(pid()) - (before[index] ?? 0)) / (idleMs / 1000)]),
    );
    const resident = new Map(
      each.map(([server, { pid, emptyBytes: empty }]) => [server, (residentBytesOf(pid()) - empty) / dataplanes]),
    );

    say("a tenth of the proxies does not read");
    const [unrelatedBlocks, unrelatedLength] = blocks.unrelated;
    const moves = async () => {
      const all: Series[] = [];
      for (let block = 0; block < unrelatedBlocks; block++) {
        all.push(await series(ours, unrelatedLength, () => ours.change("endpoint", nextRound("endpoint"))));
      }
      return joined(all);
    };
    const hearing = new Set(mesh.proxies.slice(0, dataplanes - Math.floor(dataplanes / 10)));
    const listening = (expected: readonly Expectation[]) =>
      expected.map(({ proxies, wants }) => ({ proxies: proxies.filter((name) => hearing.has(name)), wants }));
    const moveAmong = async () => {
      const { writes, expected } = mesh.moveEndpoint(nextRound("endpoint"));
      return timeOfChange(cp, fleet, { writes, expected: listening(expected) });
    };
    const attentive = await series(ours, unrelatedLength, moveAmong);
    const bytesBefore = residentBytesOf(cp.pid());
    fleet.halt(true, "apart");
    const during = await series(ours, unrelatedLength, moveAmong);
    for (let round = 0; mtls && round < 10; round++) {
      const { writes, expected } = mesh.permitEverywhere(nextRound("permission"));
      await timeOfChange(cp, fleet, { writes, expected: listening(expected) });
    }
    const grownBytes = residentBytesOf(cp.pid()) - bytesBefore;
    fleet.halt(false, "apart");
    await sleep(settleMs);

    let doubled: Measurement["doubled"];
    if (2 * files > limit) {
      say(`leaves out to double what is unrelated: that takes ${2 * files} open files, and the system allows ${limit}`);
    } else {
      say("doubles what is unrelated");
      const beforeDoubling = await moves();
      const other = createLoadMesh({ dataplanes, services, outbounds, policies, mtls }, "other-");
      await cp.fill(other);
      const otherFleet = await fleetFor(cp.servers, other, cp);
      await connect(otherFleet, cp.pid);
      await sleep(settleMs);
      doubled = { before: beforeDoubling, after: await moves() };
      await otherFleet.close();
      await sleep(settleMs);
    }

    const { traffic } = await fleet.count();
    say("kills and restarts the servers");
    const restarts = new Map<Server, Span>();
    for (const [server, side] of each) {
      await fleet.record();
      const ms = await side.restart();
      // The process is a new one, and its start no part of what is measured.
      restarts.set(server, { ms, cpuSeconds: cpuSecondsOf(side.pid()) });
      if (server === "ours") answersOnReturn = firstOfEach(await fleet.record());
    }

    const figuresOf = (server: Server): Figures => {
      const all = changes.get(server);
      const of = (kind: Kind) => joined(all?.get(kind) ?? []);
      return {
        connect: sides[server].arrival,
        endpoint: of("endpoint"),
        permission: mtls ? of("permission") : undefined,
        check: of("check"),
        roll: rolls.get(server) ?? { ms: Number.NaN, cpuSeconds: Number.NaN },
        restart: restarts.get(server) ?? { ms: Number.NaN, cpuSeconds: Number.NaN },
        idleCpu: idle.get(server) ?? Number.NaN,
        residentBytes: {
          connected: (sides[server].connectedBytes - sides[server].emptyBytes) / dataplanes,
          later: resident.get(server) ?? Number.NaN,
        },
      };
    };
    return {
      dataplanes,
      consumers: mesh.consumers,
      figures: { ours: figuresOf("ours"), grpc: figuresOf("grpc"), http2: figuresOf("http2") },
      doubled,
      deaf: { before: attentive, during, grownBytes },
      traffic: { connect: connectTraffic, all: traffic },
    };
  } finally {
    for (const close of closing.reverse()) await close();
    rmSync(directory, { recursive: true, force: true });
  }
}
