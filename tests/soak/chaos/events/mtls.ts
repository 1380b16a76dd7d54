import { eventually } from "../../../support/eventually.js";
import { refusal } from "../../../support/mesh-stage.js";
import { drainedSeconds, penaltySeconds } from "../bounds.js";
import type { ChaosEvent } from "../event.js";
import type { Ledger } from "../ledger.js";
import { type ChaosStage, clients, members, serviceOf } from "../stage.js";

const responded = "the sidecar received the response";
/** How long a sidecar may be closed, or open in plaintext, after it received the response. */
const boundSeconds = 1;
/** How long plaintext is tried after that: it went on for 15 s once, by Envoy's own fetch timeout. */
const watchedSeconds = 4;

/** A sidecar without a token, which has to pass nothing while mTLS is on. */
const bare = "bare-1";
/** A service without a sidecar, which takes plaintext from whoever still sends it. */
const legacy = "legacy";

/** A way on which plaintext passes while mTLS is off. */
interface Path {
  /** Whose sidecar has to close it. */
  readonly member: string;
  readonly client: string;
  readonly service: string;
  readonly port: number;
}

interface Knock {
  readonly from: number;
  readonly to: number;
  readonly passed: boolean;
}

/** Tries a path again and again until it is stopped. */
function knockOn({ port }: Path) {
  const knocks: Knock[] = [];
  let stopped = false;
  const knock = async () => {
    const from = performance.now();
    // What an application says can only be read here when it came in plaintext.
    const said = await refusal(port).catch(() => "");
    knocks.push({ from, to: performance.now(), passed: said !== "" });
  };
  const running = (async () => {
    while (!stopped) {
      await knock();
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  })();
  return {
    knocks: knocks as readonly Knock[],
    stop() {
      stopped = true;
      return running;
    },
  };
}

/** Adds a service without a sidecar, a way from each client to it, and a sidecar without a token; gives all plaintext paths. */
async function openPaths(stage: ChaosStage): Promise<readonly Path[]> {
  const application = stage.guest.application;
  await stage.write("dataplanes", "Dataplane", `${legacy}-1`, {
    networking: { inbound: [{ interface: `127.0.0.1:${application}:999`, tags: { service: legacy } }] },
  });
  const paths: Path[] = [...stage.members.values()].map(({ name, inbound }) => {
    return { member: name, client: "nobody", service: serviceOf(name), port: inbound };
  });
  const outbound = async (member: string) => {
    const port = await stage.port(`${legacy} of ${member}`);
    paths.push({ member, client: member, service: legacy, port });
    return { interface: `:${port}`, service: legacy };
  };
  for (const name of clients) await stage.apply(name, [await outbound(name)]);
  const inbound = await stage.port(`inbound of ${bare}`);
  paths.push({ member: bare, client: "nobody", service: serviceOf(bare), port: inbound });
  await stage.write("dataplanes", "Dataplane", bare, {
    networking: {
      inbound: [{ interface: `127.0.0.1:${inbound}:${application}`, tags: { service: serviceOf(bare) } }],
      outbound: [await outbound(bare)],
    },
  });
  await stage.join(bare, inbound, "no token");
  return paths;
}

async function closePaths(stage: ChaosStage): Promise<void> {
  await stage.leave(bare);
  for (const name of [bare, `${legacy}-1`]) await stage.remove("dataplanes", name);
  for (const name of clients) await stage.apply(name);
}

/** When an Envoy last took a response with listeners, or with clusters; in milliseconds of `performance.now()`. */
async function updatedAt(stage: ChaosStage, name: string, kind: "lds" | "cds"): Promise<number> {
  const text = await stage.ask(name, `/stats?filter=manager.${kind}.update_time`);
  const time = Number(/update_time: (\d+)/.exec(text)?.[1]);
  return time - Date.now() + performance.now();
}

/** Switches mTLS and tells when each sidecar received the response. */
async function switchTo(stage: ChaosStage, ledger: Pick<Ledger, "mark">, on: boolean): Promise<Map<string, number>> {
  const written = performance.now();
  await stage.mtls(on);
  const last = new Map<string, number>();
  const received = async (member: string, kind: "lds" | "cds") => {
    const at = await eventually(`${member} received the ${kind} response`, async () => {
      const time = await updatedAt(stage, member, kind);
      return time > written - 2 ? time : undefined;
    });
    ledger.mark({ name: responded, member, service: serviceOf(member), at });
    last.set(member, Math.max(at, last.get(member) ?? 0));
  };
  // The clusters of a sidecar without outbounds are the same with mTLS.
  await Promise.all([
    ...[...members, bare].map((name) => received(name, "lds")),
    ...[...clients, bare].map((name) => received(name, "cds")),
  ]);
  return last;
}

/** Switches mTLS on while plaintext is tried on each path, and records what of it passed after the response. */
async function switchOn(
  stage: ChaosStage,
  ledger: Pick<Ledger, "mark" | "record">,
  paths: readonly Path[],
): Promise<void> {
  const tried = paths.map((path) => ({ path, ...knockOn(path) }));
  try {
    await eventually("plaintext passes everywhere", () => tried.every(({ knocks }) => knocks.at(-1)?.passed));
    const responses = await switchTo(stage, ledger, true);
    const last = Math.max(...responses.values());
    await eventually("plaintext was tried long enough", () => performance.now() - last > watchedSeconds * 1000);
    await Promise.all(tried.map(({ stop }) => stop()));
    for (const { path, knocks } of tried) {
      const { member, client, service } = path;
      const response = responses.get(member) ?? 0;
      const after = knocks.filter(({ from }) => from > response);
      if (after.every(({ passed }) => passed)) {
        throw new Error(
          `plaintext from ${client} to ${service} was never refused after ${member} received the response`,
        );
      }
      for (const { from, to, passed } of after) {
        const error = passed ? `passed the sidecar of ${member} without TLS` : undefined;
        ledger.record({ client, service, kind: "plaintext", from, to, server: member, error });
      }
    }
  } finally {
    await Promise.all(tried.map(({ stop }) => stop()));
  }
}

export const mtlsEvents: readonly ChaosEvent[] = [
  {
    name: "mTLS switched off and on",
    weight: 3,
    mayFail: [
      {
        kind: "new",
        since: responded,
        forSeconds: boundSeconds,
        why: "sidecars switch at about the same time, not at the same moment",
      },
      {
        kind: "new",
        service: "redis",
        since: responded,
        forSeconds: boundSeconds + penaltySeconds,
        why: "a passive health check keeps away from an instance whose handshake failed until its penalty is over",
      },
      {
        kind: "long",
        since: responded,
        forSeconds: drainedSeconds,
        why: "a sidecar drains its connections when mTLS goes on or off",
      },
      {
        kind: "plaintext",
        since: responded,
        forSeconds: boundSeconds,
        why: "a sidecar waits half a second for its certificate before it closes",
      },
    ],
    async run(stage, ledger) {
      const paths = await openPaths(stage);
      try {
        await switchTo(stage, ledger, false);
        await switchOn(stage, ledger, paths);
      } finally {
        await stage.mtls(true);
        await closePaths(stage);
      }
    },
  },
];
