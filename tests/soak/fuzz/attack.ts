/** The servers of kuma-cp; `xds` and `sds` speak HTTP/2 (the latter over TLS), the others HTTP/1. */
export const ports = ["xds", "sds", "api", "bootstrap", "tokens", "health"] as const;
export type Port = (typeof ports)[number];

/**
 * Bytes as data, so that a failing input is a small file: base64, a sequence, or a repetition. With `rising`, the
 * number at each offset grows by `by` from one repetition to the next: a big-endian 32-bit number such as a stream id,
 * or six decimal digits within a name.
 */
export type Bytes =
  | string
  | readonly Bytes[]
  | {
      readonly repeat: Bytes;
      readonly times: number;
      readonly rising?: { readonly at: readonly number[]; readonly by: number; readonly as: "uint32" | "digits" };
    };

export type Move =
  | { readonly send: Bytes }
  /** The bytes one piece of this length at a time, each in a segment of its own. */
  | { readonly send: Bytes; readonly piece: number; readonly everyMs: number }
  | { readonly waitMs: number }
  | { readonly end: "fin" | "reset" };

/** Bytes written to sockets, whatever the server answers. */
export interface RawAttack {
  readonly kind: "raw";
  readonly name: string;
  readonly port: Port;
  readonly connections: number;
  /** Whether the client reads what it is sent. */
  readonly reads: boolean;
  /** Whether it acknowledges the server's SETTINGS. */
  readonly acknowledges: boolean;
  /** Whether it connects again, until the flood ends, once its moves are done or the server closed. */
  readonly again: boolean;
  readonly moves: readonly Move[];
}

/** One gRPC message; its frame may lie about it. */
export interface Message {
  readonly body: Bytes;
  /** Compression flag of the frame; 0 when left out. */
  readonly flag?: number;
  /** Length that the frame announces; the body's own when left out. */
  readonly announced?: number;
  /** Waits for a response, and appends its nonce as this field. */
  readonly nonce?: number;
}

/** Calls by an HTTP/2 client that respects flow control, so that large messages arrive whole. */
export interface CallAttack {
  readonly kind: "calls";
  readonly name: string;
  readonly port: "xds" | "sds";
  readonly sessions: number;
  readonly streams: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly messages: readonly Message[];
  readonly reads: boolean;
  readonly again: boolean;
  /** How a call ends once its messages are written: `hold` leaves it open until the flood ends. */
  readonly ending: "fin" | "trailers" | "reset" | "destroy" | "hold";
}

export type Attack = RawAttack | CallAttack;

/** What one step of the fuzzer sends: several attacks at the same time, for a bounded time. */
export interface Flood {
  readonly attacks: readonly Attack[];
  readonly seconds: number;
}

/** Bounds of one flood, over all its attacks. */
export const floodLimits = { connections: 500, bytesPerSecond: 6_000_000 };

export const raw = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
export const text = (words: string): string => raw(Buffer.from(words));

/** @returns the bytes themselves */
export function bytesOf(bytes: Bytes): Buffer {
  if (typeof bytes === "string") return Buffer.from(bytes, "base64");
  if (!("repeat" in bytes)) return Buffer.concat(bytes.map(bytesOf));
  const { times, rising } = bytes;
  const one = bytesOf(bytes.repeat);
  const all = Buffer.alloc(one.length * times);
  for (let index = 0; index < times; index++) {
    one.copy(all, index * one.length);
    for (const offset of rising?.at ?? []) {
      const at = index * one.length + offset;
      const rise = index * (rising?.by ?? 0);
      if (rising?.as === "uint32") all.writeUInt32BE((one.readUInt32BE(offset) + rise) >>> 0, at);
      else all.write(String(rise % 1_000_000).padStart(6, "0"), at, "latin1");
    }
  }
  return all;
}
