import { list } from "../../lib/cli.js";
import { UserError } from "../../lib/errors.js";
import { matchesDataplane } from "../../policy/selector.js";
import { type DataplaneOverview, dataplaneOverviewType } from "../../resources/dataplane-overview.js";
import { fromJson } from "../../resources/envelope.js";
import { overviewColumns } from "../../resources/overview-table.js";
import { collectionPath } from "../api-client.js";
import { applicationLines } from "../applications.js";
import { authorityWarnings } from "../authority.js";
import { paint } from "../color.js";
import { connect } from "../connection.js";
import { duplicateLines } from "../duplicates.js";
import { command } from "../globals.js";
import { requireMesh } from "../mesh-exists.js";
import { outputFlag, parseFormat, renderList } from "../output.js";
import { refusalLines, refusedIn } from "../refusals.js";
import { resourceTable } from "../table.js";
import { listFailure } from "./get.js";

export const inspectDataplanes = command({
  path: "inspect dataplanes",
  summary: "Inspect Dataplanes: whether they are connected and accept their configuration",
  examples: ["kumactl inspect dataplanes --tag service=backend --tag version=2"],
  flags: {
    output: outputFlag,
    tags: list("tag", {
      placeholder: "key=value",
      help: "show only Dataplanes with this tag; if repeated, with all of them",
    }),
  },
  async run({ flags, globals, io, logLevel }) {
    const format = parseFormat(flags.output);
    const tags = parseTags(flags.tags);
    const { client } = await connect({ globals, io, logLevel });
    const path = collectionPath(dataplaneOverviewType, globals.mesh);
    const listed = await client.list(path + tagQuery(tags)).catch((error: unknown) => {
      throw listFailure("Dataplanes", error);
    });
    if (listed.length === 0) await requireMesh(client, globals.mesh);
    const items = listed.filter((item) => hasTags(item, tags));
    io.stdout.write(await renderList(format, items, () => inspectTable(items, new Date(), io.color)));
    if (format !== "table") return;
    io.stderr.write(duplicateLines(items));
    io.stderr.write(refusalLines(refusedIn(items)));
    io.stderr.write(applicationLines(items));
    const authorities = await client.authorities();
    io.stderr.write(
      authorityWarnings(
        authorities.filter(({ mesh }) => mesh === globals.mesh),
        io.color,
      ),
    );
  },
});

type Pair = readonly [key: string, value: string];

const badTag = (tag: string, reason: string) => UserError.of("flag.value", { value: tag, flag: "--tag", reason });

/**
 * The first equals sign separates key and value, and values may contain more. Two values for one key are rejected,
 * because the API would ignore all but the last.
 */
function parseTags(tags: readonly string[]): readonly Pair[] {
  const wanted = new Map<string, string>();
  for (const tag of tags) {
    const at = tag.indexOf("=");
    if (at <= 0) throw badTag(tag, "must be written key=value");
    const [key, value] = [tag.slice(0, at), tag.slice(at + 1)];
    const before = wanted.get(key);
    if (before !== undefined && before !== value) throw badTag(tag, `"${key}" is given as "${before}" as well`);
    wanted.set(key, value);
  }
  return [...wanted];
}

/** The query of the overview list. The first colon separates key and value, and values may contain more. */
const tagQuery = (tags: readonly Pair[]): string =>
  tags.length === 0 ? "" : `?${tags.map(([key, value]) => `tag=${encodeURIComponent(`${key}:${value}`)}`).join("&")}`;

/** Filters again: Kuma 0.3 lists everything when a value contains a colon. */
function hasTags(item: unknown, tags: readonly Pair[]): boolean {
  if (tags.length === 0) return true;
  const { spec } = fromJson<DataplaneOverview>(dataplaneOverviewType, item, "lenient");
  return matchesDataplane(Object.fromEntries(tags), spec.dataplane ?? {});
}

/** The table of overviews (as the API returns them) at this time. */
export function inspectTable(items: readonly unknown[], now: Date, color: boolean): string {
  const columns = overviewColumns(now);
  const status = columns.findIndex(({ title }) => title === "STATUS");
  const mark = (cell: string, column: number) => (column === status ? paintStatus(cell) : cell);
  return resourceTable(dataplaneOverviewType, columns, items, color ? mark : undefined);
}

function paintStatus(status: string): string {
  return paint(status === "Online" ? "green" : "red", status);
}
