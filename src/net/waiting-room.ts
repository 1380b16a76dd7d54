import { isIPv6 } from "node:net";
import { unmapped } from "../lib/host.js";

/**
 * State of a connection before its first valid request:
 *   silent   it has sent nothing yet
 *   waiting  it has, and its turn has not come
 *   inside   it was let in
 */
type Stage = "silent" | "waiting" | "inside";

interface Visitor<Connection> {
  readonly address: Address<Connection>;
  stage: Stage;
}

/** The unproven connections of one address. */
interface Address<Connection> {
  readonly key: string;
  readonly all: Set<Connection>;
  readonly waiting: Set<Connection>;
  inside: number;
}

export interface WaitingRoomOptions<Connection> {
  /** Maximum unproven connections of one address inside. */
  readonly perAddress: number;
  /** Maximum unproven connections inside. */
  readonly inside: number;
  /** Maximum unproven connections; beyond it the address with the most loses its oldest. */
  readonly most: number;
  /** Must close the connection. */
  evict(connection: Connection): void;
  /** Called when a connection has to wait, because of the limit of its address or the overall one. */
  delayed(byAddress: boolean): void;
  /** Admits the connection. */
  enter(connection: Connection): void;
}

/** Holds unproven connections and decides which one is admitted next. */
export interface WaitingRoom<Connection> {
  add(connection: Connection, address: string): void;
  /** Call when its first bytes have arrived: it is admitted when its turn comes. */
  spoke(connection: Connection): void;
  /** Whether it has sent nothing yet. */
  isSilent(connection: Connection): boolean;
  /** Call when it has proved itself or was closed. */
  leave(connection: Connection): void;
  /** The connections that were not admitted yet. */
  outside(): readonly Connection[];
}

/**
 * The key by which addresses are counted. For IPv6 it is the /64 that usually belongs to one machine or subscriber (RFC
 * 6177), which can use any address in it.
 */
export function addressKey(address: string | undefined): string {
  if (address === undefined) return "";
  const ipv4 = unmapped(address);
  if (!isIPv6(ipv4)) return ipv4;
  const [head = "", tail] = (address.split("%", 1)[0] ?? "").split("::", 2);
  const groups = head === "" ? [] : head.split(":");
  if (tail !== undefined) while (groups.length < 8 - (tail === "" ? 0 : tail.split(":").length)) groups.push("0");
  return groups.slice(0, 4).join(":");
}

/** Limits connections per address and takes turns among addresses, so that no address can starve another. */
export function createWaitingRoom<Connection>(options: WaitingRoomOptions<Connection>): WaitingRoom<Connection> {
  const { perAddress, inside: mostInside, most, evict, delayed, enter } = options;
  const visitors = new Map<Connection, Visitor<Connection>>();
  const addresses = new Map<string, Address<Connection>>();
  /** Addresses with waiting connections and room inside, in the order of their turns. */
  const eligible = new Set<Address<Connection>>();
  let inside = 0;

  function note(address: Address<Connection>): void {
    if (address.waiting.size > 0 && address.inside < perAddress) eligible.add(address);
    else eligible.delete(address);
  }

  function letIn(): void {
    while (inside < mostInside) {
      const [address] = eligible;
      const [connection] = address?.waiting ?? [];
      if (address === undefined || connection === undefined) return;
      const visitor = visitors.get(connection);
      address.waiting.delete(connection);
      eligible.delete(address);
      if (visitor !== undefined) {
        visitor.stage = "inside";
        address.inside += 1;
        inside += 1;
        enter(connection);
      }
      note(address);
    }
  }

  function fullest(): Address<Connection> | undefined {
    let found: Address<Connection> | undefined;
    for (const address of addresses.values()) {
      if (found === undefined || address.all.size > found.all.size) found = address;
    }
    return found;
  }

  function leave(connection: Connection): void {
    const visitor = visitors.get(connection);
    if (visitor === undefined) return;
    const { address, stage } = visitor;
    visitors.delete(connection);
    address.all.delete(connection);
    address.waiting.delete(connection);
    if (stage === "inside") {
      address.inside -= 1;
      inside -= 1;
    }
    if (address.all.size === 0) addresses.delete(address.key);
    note(address);
    letIn();
  }

  return {
    add(connection, key) {
      let address = addresses.get(key);
      if (address === undefined) {
        address = { key, all: new Set(), waiting: new Set(), inside: 0 };
        addresses.set(key, address);
      }
      address.all.add(connection);
      visitors.set(connection, { address, stage: "silent" });
      if (visitors.size <= most) return;
      const [oldest] = fullest()?.all ?? [];
      if (oldest === undefined) return;
      leave(oldest);
      evict(oldest);
    },
    spoke(connection) {
      const visitor = visitors.get(connection);
      if (visitor === undefined || visitor.stage !== "silent") return;
      const { address } = visitor;
      visitor.stage = "waiting";
      address.waiting.add(connection);
      note(address);
      letIn();
      if (address.waiting.has(connection)) delayed(address.inside >= perAddress);
    },
    isSilent: (connection) => visitors.get(connection)?.stage === "silent",
    leave,
    outside: () => [...visitors].filter(([, { stage }]) => stage !== "inside").map(([connection]) => connection),
  };
}
