import { isIPv6 } from "node:net";
import { unmapped } from "../lib/host.js";

/**
 * Where a connection stands before it has proved itself:
 *   silent   it has sent nothing yet
 *   waiting  it has, and its turn has not come
 *   inside   it was let in
 */
type Stage = "silent" | "waiting" | "inside";

interface Visitor<Connection> {
  readonly address: Address<Connection>;
  stage: Stage;
}

/** The connections of one address that have not proved themselves. */
interface Address<Connection> {
  readonly key: string;
  readonly all: Set<Connection>;
  readonly waiting: Set<Connection>;
  inside: number;
}

export interface WaitingRoomOptions<Connection> {
  /** How many of one address may be inside. */
  readonly perAddress: number;
  /** How many may be inside. */
  readonly inside: number;
  /** How many there may be; one more costs the address that has most its oldest. */
  readonly most: number;
  /** Has to close the connection. */
  evict(connection: Connection): void;
  /** A connection has to wait: because of its address, or because of all. */
  delayed(byAddress: boolean): void;
  /** The connection's turn has come. */
  enter(connection: Connection): void;
}

/** Connections that have not proved themselves, and whose turn it is. */
export interface WaitingRoom<Connection> {
  add(connection: Connection, address: string): void;
  /** Its first bytes came: it enters when its turn comes. */
  spoke(connection: Connection): void;
  /** Whether it has sent nothing yet. */
  isSilent(connection: Connection): boolean;
  /** It has proved itself, or is closed. */
  leave(connection: Connection): void;
  /** Those that have not entered. */
  outside(): readonly Connection[];
}

/**
 * What counts as one address: of IPv6 the /64 that a machine or a subscriber usually has whole (RFC 6177), since it can
 * come from any address in it.
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

/** An address may have so many inside; the turn goes around among addresses, so that none can keep another out. */
export function createWaitingRoom<Connection>(options: WaitingRoomOptions<Connection>): WaitingRoom<Connection> {
  const { perAddress, inside: mostInside, most, evict, delayed, enter } = options;
  const visitors = new Map<Connection, Visitor<Connection>>();
  const addresses = new Map<string, Address<Connection>>();
  /** Addresses with connections that wait and that have room inside, in the order of their turns. */
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
