import { isJsonObject } from "../../lib/json.js";

/** How a control plane says that it is. */
export interface ControlPlaneStatus {
  readonly store: {
    readonly type: string;
    /** Why nothing can be written to it; undefined while it can. */
    readonly problem: string | undefined;
  };
  /** What the SDS server presents; undefined when that was not told. */
  readonly sdsCertificate:
    | {
        readonly notBefore: Date;
        readonly notAfter: Date;
        /** The setting that names its file; undefined for one that the control plane made itself. */
        readonly setting: string | undefined;
      }
    | undefined;
  /** What went beyond a limit of a server lately. */
  readonly refusals: readonly {
    readonly server: string;
    readonly limit: string;
    readonly times: number;
    readonly last: string;
  }[];
}

const word = (value: unknown): string => (typeof value === "string" ? value : "");
const at = (value: unknown, key: string): unknown => (isJsonObject(value) ? value[key] : undefined);
const date = (value: unknown): Date | undefined => {
  const time = Date.parse(word(value));
  return Number.isNaN(time) ? undefined : new Date(time);
};

function readCertificate(value: unknown): ControlPlaneStatus["sdsCertificate"] {
  const [notBefore, notAfter] = [date(at(value, "notBefore")), date(at(value, "notAfter"))];
  if (notBefore === undefined || notAfter === undefined) return undefined;
  return { notBefore, notAfter, setting: word(at(value, "setting")) || undefined };
}

/** Reads the answer of `/status`; undefined for something else. */
export function readStatus(document: unknown): ControlPlaneStatus | undefined {
  const store = at(document, "store");
  if (!isJsonObject(store)) return undefined;
  const refusals = at(document, "refusals");
  return {
    store: {
      type: word(store.type),
      problem: store.writable === false ? word(store.reason) || "it does not say why" : undefined,
    },
    sdsCertificate: readCertificate(at(document, "sdsCertificate")),
    refusals: (Array.isArray(refusals) ? refusals : []).filter(isJsonObject).map(({ server, limit, times, last }) => ({
      server: word(server),
      limit: word(limit),
      times: Number(times) || 0,
      last: word(last),
    })),
  };
}
