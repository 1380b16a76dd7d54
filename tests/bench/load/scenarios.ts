// What is done to a server under load, be it ours or a floor, and how long its proxies take to have heard of it.
import type { Expectation } from "../storm-clients.js";
import type { Wanted } from "../storm-proxy.js";
import type { LoadedControlPlane, StoreType } from "./control-plane.js";
import { type Fleet, now, type Recorded } from "./fleet.js";
import type { Change, LoadMesh } from "./mesh.js";

/** Milliseconds from the beginning of an action to the last acknowledgement that is expected because of it. */
export async function timeToLast(
  fleet: Fleet,
  expected: readonly Expectation[],
  action: () => Promise<void>,
): Promise<number> {
  const seen = await fleet.watch(expected);
  const begun = now();
  await action();
  return (await seen()) - begun;
}

/** Writes a change to the control plane, one resource after the other. */
export const timeOfChange = (cp: LoadedControlPlane, fleet: Fleet, { writes, expected }: Change): Promise<number> =>
  timeToLast(fleet, expected, async () => {
    for (const write of writes) await cp.write(write);
  });

/**
 * Has a server end and come back under its streams. Its proxies only go on when it is there with all that they are to
 * find: how long that takes, and how long they would wait meanwhile, is not what is measured.
 * @returns milliseconds from then to the last acknowledgement that is expected
 */
export async function timeOfReturn(
  fleet: Fleet,
  expected: readonly Expectation[],
  revive: () => Promise<void>,
): Promise<number> {
  const seen = await fleet.watch(expected);
  fleet.halt(true);
  await revive();
  const begun = now();
  fleet.halt(false);
  return (await seen()) - begun;
}

/** Kills the control plane and starts it again; a store in memory is filled again, and has another key for tokens. */
export async function revive(cp: LoadedControlPlane, fleet: Fleet, mesh: LoadMesh, store: StoreType): Promise<void> {
  await cp.restart();
  if (store !== "memory") return;
  await cp.fill(mesh);
  // Taken by the proxies when they go on.
  void fleet.replaceTokens(await cp.tokens(mesh));
}

/**
 * What a proxy is answered that comes back with all that it had: in delta nothing but that nothing has changed, and
 * its assignments are not mentioned; the state of the world is told as a whole.
 */
export const wantedOnReturn = (wanted: readonly Wanted[], mode: "delta" | "sotw"): Wanted[] =>
  wanted.filter((what) => mode === "sotw" || what !== "eds");

/** The first response of each kind: what a proxy is answered when it connects. */
export function firstOfEach(recorded: readonly Recorded[]): Recorded[] {
  const first = new Map<Wanted, Recorded>();
  for (const response of recorded) if (!first.has(response.what)) first.set(response.what, response);
  return [...first.values()];
}
