import { isJsonObject } from "../../lib/json.js";

/** The status that a control plane reports. */
export interface ControlPlaneStatus {
  readonly store: {
    readonly type: string;
    /** Why the store is not writable; undefined when it is. */
    readonly problem: string | undefined;
  };
  /** The certificate that the SDS server presents; undefined when the control plane does not report it. */
  readonly sdsCertificate:
    | {
        readonly notBefore: Date;
        readonly notAfter: Date;
        /** The setting that names its file; undefined when the control plane generated it. */
        readonly setting: string | undefined;
      }
    | undefined;
  /** Requests that were recently rejected because of a server's limit. */
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

/** Reads a response of `/status`; undefined when it is something else. */
export function readStatus(document: unknown): ControlPlaneStatus | undefined {
  const store = at(document, "store");
  if (!isJsonObject(store)) return undefined;
  const refusals = at(document, "refusals");
  return {
    store: {
      type: word(store.type),
      problem: store.writable === false ? word(store.reason) || "the control plane gave no reason" : undefined,
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
