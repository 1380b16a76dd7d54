import { type PostgresServer, startPostgres } from "../support/postgres.js";
import { openStore } from "../support/postgres-stores.js";
import { storeContract } from "../support/store-contract.js";

let server: PostgresServer;

storeContract("PostgreSQL", async () => (await openStore(await server.createDatabase())).store, {
  needs: "postgres",
  async before() {
    server = await startPostgres();
  },
  after: () => server.close(),
});
