import { storeKind } from "../kind.js";
import { postgresContradictions, postgresOptions, postgresTable } from "./settings.js";

/** A PostgreSQL database that several control planes may share. */
export const postgresKind = storeKind({
  name: "postgres",
  settings: postgresTable,
  repair:
    "for PostgreSQL, that it runs, is the primary and not read-only, has disk space left and lets the user of " +
    "KUMA_STORE_POSTGRES_USER write",
  contradictions: postgresContradictions,
  async open(settings, context) {
    const { openPostgresStore } = await import("./open.js");
    return openPostgresStore({
      ...context,
      postgres: await postgresOptions(settings),
      migrate: settings.postgresMigrate,
    });
  },
});
