import type { Leadership } from "../leadership.js";
import type { Connections } from "./connections.js";

/** The live control plane that was started first is the leader, by the database's clock. */
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
