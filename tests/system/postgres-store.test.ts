import { type PostgresServer, startPostgres } from "../support/postgres.js";
import { openStore } from "../support/postgres-stores.js";
import { storeContract } from "../support/store-contract.js";
import { startTcpProxy, type TcpProxy, withoutNotifications } from "../support/tcp-proxy.js";

let server: PostgresServer;
let pooler: TcpProxy;

storeContract(
  "PostgreSQL behind a transaction pooler",
  async () => openStore({ ...(await server.createDatabase()), port: pooler.port }, { timing: { echoMs: 50 } }),
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
