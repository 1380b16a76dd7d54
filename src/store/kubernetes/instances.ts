import { hasStatus } from "../../kubeapi/error.js";
import type { InstanceObserver, Instances } from "../instances.js";
import { instancePrefix, type Leases, type SeenLease } from "./leases.js";

export interface KubernetesInstances extends Instances {
  /** Renews the Lease of this instance, and checks those of the others. @throws KubeError */
  beat(): Promise<void>;
  /** Only the renewal, which is a write that nobody else sees. @throws KubeError */
  renew(): Promise<void>;
  /** Call after the API server was lost: the others had the same trouble, and get time to renew theirs. */
  interrupted(): void;
  leave(): Promise<void>;
}

interface Timing {
  /** An instance whose Lease was not renewed for this long is dead. Milliseconds. */
  readonly deadMs: number;
  readonly now?: () => number;
}

/** Each instance keeps a Lease of its own. One that this process never saw change counts as alive for `deadMs`. */
export function createInstances(
  leases: Leases,
  own: string,
  { deadMs, now = () => performance.now() }: Timing,
): KubernetesInstances {
  const observers: InstanceObserver[] = [];
  const name = instancePrefix + own;
  const spec = { holderIdentity: own, leaseDurationSeconds: Math.ceil(deadMs / 1_000) };
  let held: SeenLease | undefined;
  /** Of the Lease as this instance last saw it: another one means that the others deleted it. */
  let uid: string | undefined;
  let settled = false;
  let beatingSince: number | undefined;
  let renewing: Promise<void> = Promise.resolve();

  const isDead = ({ changedAt }: SeenLease) => now() - changedAt >= deadMs;

  /** Without reading the Lease first, as long as nobody else changes it. */
  async function renewHeld(): Promise<boolean> {
    if (held === undefined) return false;
    try {
      held = await leases.renew(held, spec);
      return true;
    } catch (error) {
      held = undefined;
      if (hasStatus(error, 409) || hasStatus(error, 404)) return false;
      throw error;
    }
  }

  async function renewNow(): Promise<void> {
    if (!(await renewHeld())) {
      const lease = await leases.get(name);
      held = lease === undefined ? await leases.create(name, spec, true) : await leases.renew(lease, spec);
    }
    // Not where it is created: the answer to that may be lost, and the Lease is found by the next attempt.
    const present = held?.object.metadata.uid;
    const before = uid;
    uid = present;
    if (before !== undefined && present !== before) for (const observer of observers) observer.returned();
    beatingSince ??= now();
  }

  function renew(): Promise<void> {
    renewing = renewing.then(renewNow, renewNow);
    return renewing;
  }

  return {
    own,
    observe: (observer) => void observers.push(observer),
    async running() {
      const alive = (await leases.list()).filter((lease) => !isDead(lease));
      return new Set([own, ...alive.map(({ holder }) => holder)]);
    },
    async forget(instances) {
      const dead = (await leases.list()).filter((lease) => instances.includes(lease.holder) && isDead(lease));
      for (const { object } of dead) await leases.delete(object.metadata.name);
    },
    renew,
    async beat() {
      await renew();
      const others = (await leases.list()).filter(({ holder }) => holder !== own);
      // After an interruption the others look dead, too: they get the time to come back first.
      if (beatingSince === undefined || now() - beatingSince < deadMs) return;
      const dead = others.filter(isDead).map(({ holder }) => holder);
      if (dead.length === 0 && settled) return;
      settled = true;
      for (const observer of observers) observer.died(dead);
    },
    interrupted() {
      beatingSince = undefined;
    },
    leave: () => leases.delete(name),
  };
}
