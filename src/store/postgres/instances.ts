import type { Sql } from "postgres";
import type { InstanceObserver, Instances } from "../instances.js";
import type { Connections } from "./connections.js";

export interface PostgresInstances extends Instances {
  /**
   * Sends a heartbeat and checks the other instances.
   * @param echo a channel and payload to notify, to check that notifications arrive
   * @throws DatabaseFailure
   */
  beat(echo: { readonly channel: string; readonly payload: string }): Promise<void>;
  /**
   * Call after the database was lost: other instances may have died meanwhile, or may only have been disconnected as
   * well.
   */
  interrupted(): void;
  leave(): Promise<void>;
}

interface Timing {
  /** An instance without a heartbeat for this long is dead. Milliseconds. */
  readonly deadMs: number;
  readonly now?: () => number;
}

interface InstanceRow {
  readonly id: string;
  readonly dead: boolean;
}

/** Uses the database's clock, the only one that all instances share. */
export function createInstances(
  connections: Connections,
  own: string,
  { deadMs, now = Date.now }: Timing,
): PostgresInstances {
  const observers: InstanceObserver[] = [];
  let known = false;
  let beatingSince: number | undefined;
  let settled = false;

  const sign = (sql: Sql, channel: string, payload: string) => sql<{ isNew: boolean }[]>`
    INSERT INTO control_plane_instances (id) VALUES (${own})
    ON CONFLICT (id) DO UPDATE SET seen_at = now()
    RETURNING xmax = 0 AS "isNew", pg_notify(${channel}, ${payload})`;

  const all = (sql: Sql) => sql<InstanceRow[]>`
    SELECT id, seen_at < now() - ${deadMs}::float8 * interval '1 millisecond' AS dead FROM control_plane_instances`;

  async function look(): Promise<void> {
    const rows = await connections.run(all);
    const dead = rows.filter((row) => row.dead && row.id !== own).map(({ id }) => id);
    if (dead.length === 0 && settled) return;
    settled = true;
    for (const observer of observers) observer.died(dead);
  }

  return {
    own,
    observe: (observer) => void observers.push(observer),
    async running() {
      const rows = await connections.run(all);
      return new Set([own, ...rows.filter(({ dead }) => !dead).map(({ id }) => id)]);
    },
    async forget(instances) {
      if (instances.length === 0) return;
      await connections.run(
        (sql) => sql`
          DELETE FROM control_plane_instances WHERE id IN ${sql(instances)}
          AND seen_at < now() - ${deadMs}::float8 * interval '1 millisecond'`,
      );
    },
    async beat({ channel, payload }) {
      const [row] = await connections.run((sql) => sign(sql, channel, payload));
      if (row?.isNew === true && known) for (const observer of observers) observer.returned();
      known = true;
      beatingSince ??= now();
      // After a disconnection the others look dead, too: they get the time to reconnect first.
      if (now() - beatingSince > deadMs) await look();
    },
    interrupted() {
      beatingSince = undefined;
    },
    async leave() {
      await connections.run((sql) => sql`DELETE FROM control_plane_instances WHERE id = ${own}`);
    },
  };
}
