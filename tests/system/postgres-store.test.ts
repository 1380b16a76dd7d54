import { type PostgresServer, startPostgres } from "../support/postgres.js";
import { openStore } from "../support/postgres-stores.js";
import { storeContract } from "../support/store-contract.js";
import { startTcpProxy, type TcpProxy, withoutNotifications } from "../support/tcp-proxy.js";

let server: PostgresServer;
let pooler: TcpProxy;

storeContract(
  "PostgreSQL behind a transaction pooler",
  async () => {
    const { store } = await openStore(
      { ...(await server.createDatabase()), port: pooler.port },
      { timing: { echoMs: 50 } },
    );
    return store;
  },
  {
    needs: "postgres",
    async before() {
      server = await startPostgres();
      pooler = await startTcpProxy(server.port, withoutNotifications);
    },
    async after() {
      await pooler.close();
      await server.close();
    },
  },
);

storeContract("PostgreSQL", async () => (await openStore(await server.createDatabase())).store, {
  needs: "postgres",
  async before() {
    server = await startPostgres();
  },
  after: () => server.close(),
});
