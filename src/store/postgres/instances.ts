import type { Sql } from "postgres";
import type { InstanceObserver, Instances } from "../instances.js";
import type { Connections } from "./connections.js";

export interface PostgresInstances extends Instances {
  /**
   * Shows that this instance is alive, and looks after the others.
   * @param echo a channel and what to announce on it, which tells whether announcements get through
   * @throws DatabaseFailure
   */
  beat(echo: { readonly channel: string; readonly payload: string }): Promise<void>;
  /** The next beat is the first after an interruption: others may have died in it, or have only been cut off as well. */
  interrupted(): void;
  leave(): Promise<void>;
}

interface Timing {
  /** Without a beat for so long an instance counts as dead. */
  readonly deadMs: number;
  readonly now?: () => number;
}

interface InstanceRow {
  readonly id: string;
  readonly dead: boolean;
}

/** By the clock of the database, which is the only one that all instances share. */
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
    async bury(instances) {
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
      // Who was cut off finds the others silent, too, and must give them the time that it needed itself.
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
