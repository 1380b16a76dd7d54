import type { Leadership } from "../leadership.js";
import type { Connections } from "./connections.js";

/** Of the control planes that show signs of life the one that was started first leads, by the clock of the database. */
export function createLeadership(
  connections: Connections,
  own: string,
  { deadMs }: { readonly deadMs: number },
): Leadership {
  return {
    async leads() {
      const [leader] = await connections.run(
        (sql) => sql<{ id: string }[]>`
          SELECT id FROM control_plane_instances WHERE seen_at >= now() - ${deadMs}::float8 * interval '1 millisecond'
          ORDER BY started_at, id LIMIT 1`,
      );
      return leader?.id === own;
    },
  };
}
