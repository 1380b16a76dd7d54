import postgres from "postgres";
import { messageOf } from "../../lib/errors.js";
import { placeText } from "./unix-socket.js";

export type FailureKind =
  /** Not reachable at the moment: a retry may help. */
  | "unavailable"
  /** A retry does not help until a setting or the database is changed. */
  | "misconfigured"
  /** The statement was rolled back in favour of another one: it can be retried at once. */
  | "lost-race"
  /** Any other error. */
  | "unexpected";

/** An error of PostgreSQL or of the connection to it, with a message for users. */
export class DatabaseFailure extends Error {
  readonly kind: FailureKind;
  /** The server's error code; undefined if the error did not come from the server. */
  readonly sqlState: string | undefined;

  constructor(kind: FailureKind, message: string, { cause, sqlState }: { cause?: unknown; sqlState?: string } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "DatabaseFailure";
    this.kind = kind;
    this.sqlState = sqlState;
  }
}

/** Server, database and user, for messages. */
export interface Place {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
}

type Explanation = readonly [kind: FailureKind, sentence: (place: Place, said: string) => string];

const plain = (sentence: string): Explanation => ["unavailable", () => sentence];
const tooSlow = plain("a statement took longer than KUMA_STORE_POSTGRES_STATEMENT_TIMEOUT");

/** Errors from the server, by SQLSTATE (PostgreSQL documentation, appendix A). */
const bySqlState: Readonly<Record<string, Explanation>> = {
  "28P01": [
    "misconfigured",
    ({ user }) => `the password of user "${user}" is wrong (KUMA_STORE_POSTGRES_USER and KUMA_STORE_POSTGRES_PASSWORD)`,
  ],
  "28000": [
    "misconfigured",
    ({ user }, said) =>
      `the server rejects user "${user}": ${said} (KUMA_STORE_POSTGRES_USER, KUMA_STORE_POSTGRES_TLS_MODE)`,
  ],
  "3D000": [
    "misconfigured",
    ({ database }) => `there is no database "${database}"; create it, or name another by KUMA_STORE_POSTGRES_DB_NAME`,
  ],
  "42501": [
    "misconfigured",
    ({ user }, said) =>
      `user "${user}" lacks a privilege: ${said}; grant it, or let the owner of the database run ` +
      "`kumactl install database-schema | psql` and set KUMA_STORE_POSTGRES_MIGRATE_SCHEMA=false",
  ],
  "25006": [
    "misconfigured",
    () =>
      "it is a read-only replica, or read-only by its settings; kuma-cp needs the primary (KUMA_STORE_POSTGRES_HOST)",
  ],
  "42P01": [
    "misconfigured",
    (_, said) => `${said}; \`kumactl install database-schema | psql\` creates what is missing`,
  ],
  "57014": tooSlow,
  "40001": ["lost-race", (_, said) => said],
  "40P01": ["lost-race", (_, said) => said],
};

/** Classes of SQLSTATE for transient errors. */
const passing: ReadonlySet<string> = new Set(["08", "53", "57", "58"]);

/** Connection errors, by code. */
const byCode: Readonly<Record<string, Explanation>> = {
  ECONNREFUSED: plain("nothing listens there"),
  ECONNRESET: plain("the connection was reset"),
  EPIPE: plain("the connection was reset"),
  ETIMEDOUT: plain("the connection timed out"),
  EHOSTUNREACH: plain("the host can't be reached"),
  ENETUNREACH: plain("the network can't be reached"),
  EAI_AGAIN: plain("the host's name can't be resolved at the moment"),
  ENOENT: ["unavailable", () => "there is no such socket: the server is not running, or its socket is elsewhere"],
  EACCES: ["misconfigured", () => "this user may not use the socket"],
  ENOTFOUND: ["unavailable", ({ host }) => `the host name "${host}" is unknown (KUMA_STORE_POSTGRES_HOST)`],
  CONNECT_TIMEOUT: plain("no connection within KUMA_STORE_POSTGRES_CONNECTION_TIMEOUT"),
  CONNECTION_CLOSED: plain("the connection was closed"),
  CONNECTION_DESTROYED: plain("the connection was aborted"),
  CONNECTION_ENDED: plain("the connection was ended"),
  NO_ANSWER: tooSlow,
};

const certificateProblem = /^(ERR_TLS_|ERR_SSL_|CERT_|SELF_SIGNED_|DEPTH_ZERO_|UNABLE_TO_|HOSTNAME_MISMATCH)/;

function explain(code: string, fromServer: boolean): Explanation | undefined {
  if (!fromServer) {
    if (certificateProblem.test(code)) {
      return ["misconfigured", (_, said) => `TLS failed: ${said} (KUMA_STORE_POSTGRES_TLS_*)`];
    }
    return byCode[code];
  }
  return bySqlState[code] ?? (passing.has(code.slice(0, 2)) ? ["unavailable", (_, said) => said] : undefined);
}

/** Converts any error that the PostgreSQL client threw. */
export function toFailure(error: unknown, place: Place): DatabaseFailure {
  if (error instanceof DatabaseFailure) return error;
  const { code } = (error ?? {}) as { code?: unknown };
  const said = messageOf(error);
  const fromServer = error instanceof postgres.PostgresError;
  const [first] = error instanceof AggregateError ? (error.errors as { code?: unknown }[]) : [];
  const known = explain(String(code ?? first?.code ?? ""), fromServer);
  const prefix = `PostgreSQL at ${placeText(place)}: `;
  const details = { cause: error, ...(fromServer ? { sqlState: String(code) } : {}) };
  if (known === undefined) return new DatabaseFailure("unexpected", prefix + said, details);
  const [kind, sentence] = known;
  return new DatabaseFailure(kind, prefix + sentence(place, said), details);
}
