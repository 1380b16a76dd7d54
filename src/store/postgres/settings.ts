import { readFile } from "node:fs/promises";
import { UserError } from "../../lib/errors.js";
import {
  bool,
  durationSetting,
  int,
  mask,
  oneOf,
  type Parser,
  type Setting,
  type SettingsTable,
  str,
  type Values,
} from "../../lib/settings.js";
import type { PostgresOptions } from "./connections.js";
import type { PostgresTls } from "./socket.js";
import { unixSocketPath } from "./unix-socket.js";

type TlsMode = PostgresTls["mode"];

const modes: readonly TlsMode[] = ["disable", "verifyNone", "verifyCa", "verifyFull"];

/** Names of the modes in Kuma's sample file and in PostgreSQL. */
const otherNames: ReadonlyMap<unknown, TlsMode> = new Map([
  ["require", "verifyNone"],
  ["verify-ca", "verifyCa"],
  ["verify-full", "verifyFull"],
]);

const tlsMode: Parser<TlsMode> = (raw, name) => otherNames.get(raw) ?? oneOf(...modes)(raw, name);

/** Rejects the mask that replaces secrets in output: it was probably copied from there. */
const password: Parser<string> = Object.assign(
  (raw: unknown, name: string): string => {
    if (raw === mask) throw UserError.of("setting.masked", { setting: name, mask });
    return str(raw, name);
  },
  { takesEmpty: true },
);

const asSeconds = (milliseconds: number) => `${milliseconds / 1000}s`;

function setting<T>(
  path: string,
  env: string | readonly string[],
  preset: T,
  parse: Parser<T>,
  sentence: string,
): Setting<T> {
  return {
    path: `store.postgres.${path}`,
    env: [env].flat().map((name) => `KUMA_STORE_POSTGRES_${name}`),
    default: preset,
    parse,
    sentence,
  };
}

/** The settings of the PostgreSQL store. */
export const postgresTable = {
  postgresHost: setting(
    "host",
    "HOST",
    "127.0.0.1",
    str,
    "Host of the PostgreSQL server, or the absolute path of a directory with its Unix socket (no TLS there).",
  ),
  postgresPort: setting("port", "PORT", 15432, int(1, 65535), "Port of the PostgreSQL server."),
  postgresUser: setting("user", "USER", "kuma", str, "User of the database."),
  postgresPassword: {
    ...setting("password", "PASSWORD", "kuma", password, "Password of that user."),
    secret: true,
  },
  postgresDbName: setting("dbName", "DB_NAME", "kuma", str, "Name of the database."),
  postgresConnectionTimeout: setting(
    "connectionTimeout",
    "CONNECTION_TIMEOUT",
    5,
    int(1, 3600),
    "Timeout for connecting to the database, in seconds.",
  ),
  postgresStatementTimeout: {
    ...setting("statementTimeout", "STATEMENT_TIMEOUT", 10_000, durationSetting(100), "Timeout of a statement."),
    show: asSeconds,
  },
  postgresMaxConnections: setting(
    "maxOpenConnections",
    "MAX_OPEN_CONNECTIONS",
    10,
    int(1, 1000),
    "Maximum number of connections to the database, besides the one that listens for changes.",
  ),
  postgresMigrate: setting(
    "migrateSchema",
    "MIGRATE_SCHEMA",
    true,
    bool,
    "Whether kuma-cp creates and upgrades the schema; otherwise use `kumactl install database-schema`.",
  ),
  postgresTlsMode: setting<TlsMode>(
    "tls.mode",
    "TLS_MODE",
    "disable",
    tlsMode,
    "TLS to the database: disable, verifyNone, verifyCa (verifies the issuer of its certificate) or verifyFull (also its host name).",
  ),
  postgresTlsCertPath: setting(
    "tls.certPath",
    "TLS_CERT_PATH",
    "",
    str,
    "Client certificate for the database, in PEM.",
  ),
  postgresTlsKeyPath: setting("tls.keyPath", "TLS_KEY_PATH", "", str, "Key of that certificate, in PEM."),
  postgresTlsCaPath: setting(
    "tls.caPath",
    ["TLS_CA_PATH", "TLS_ROOT_CERT_PATH"],
    "",
    str,
    "Certificates of the authorities that may sign the database's certificate, in PEM.",
  ),
} satisfies SettingsTable;

export type PostgresSettings = Values<typeof postgresTable>;

const variable = (key: keyof PostgresSettings): string => postgresTable[key].env[0] ?? postgresTable[key].path;

const needed = {
  postgresHost: "a host name or IP address",
  postgresUser: "a user of the database",
  postgresPassword: "that user's password",
  postgresDbName: "the name of a database",
} as const;

const longestSocketPath = 107;

/** Contradictions among the settings, when they are used. */
export function postgresContradictions(settings: PostgresSettings): string[] {
  const problems: string[] = [];
  for (const [key, what] of Object.entries(needed) as [keyof typeof needed, string][]) {
    if (settings[key] === "") problems.push(`${variable(key)} is empty, but has to be ${what}`);
  }
  const { postgresHost: host, postgresTlsMode: mode } = settings;
  const path = unixSocketPath({ host, port: settings.postgresPort });
  if (path === undefined && host.includes("/")) {
    problems.push(
      `${variable("postgresHost")} is "${host}", but has to be a host name, an IP address or an absolute path of a directory`,
    );
  } else if (path !== undefined && Buffer.byteLength(path) > longestSocketPath) {
    problems.push(
      `${variable("postgresHost")} is "${host}", and ${path} would have more than ${longestSocketPath} bytes, which no Unix socket has`,
    );
  }
  if ((mode === "verifyCa" || mode === "verifyFull") && settings.postgresTlsCaPath === "") {
    problems.push(
      `${variable("postgresTlsCaPath")} is empty, but has to be a file of certificates, because ${variable("postgresTlsMode")} is ${mode}`,
    );
  }
  if ((settings.postgresTlsCertPath === "") !== (settings.postgresTlsKeyPath === "")) {
    problems.push(`${variable("postgresTlsCertPath")} and ${variable("postgresTlsKeyPath")} have to be given together`);
  }
  return problems;
}

async function read(
  settings: PostgresSettings,
  key: "postgresTlsCaPath" | "postgresTlsCertPath" | "postgresTlsKeyPath",
) {
  if (settings[key] === "") return undefined;
  try {
    return await readFile(settings[key], "utf8");
  } catch (error) {
    throw UserError.of("setting.unreadable", { setting: variable(key), file: settings[key], reason: error });
  }
}

/**
 * Converts the settings to the store's options.
 * @throws UserError for a file that can't be read
 */
export async function postgresOptions(settings: PostgresSettings): Promise<PostgresOptions> {
  const [ca, cert, key] = [
    await read(settings, "postgresTlsCaPath"),
    await read(settings, "postgresTlsCertPath"),
    await read(settings, "postgresTlsKeyPath"),
  ];
  return {
    host: settings.postgresHost,
    port: settings.postgresPort,
    user: settings.postgresUser,
    password: settings.postgresPassword,
    database: settings.postgresDbName,
    connectTimeoutMs: settings.postgresConnectionTimeout * 1000,
    statementTimeoutMs: settings.postgresStatementTimeout,
    maxConnections: settings.postgresMaxConnections,
    tls: {
      mode: settings.postgresTlsMode,
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined || key === undefined ? {} : { cert, key }),
    },
  };
}
