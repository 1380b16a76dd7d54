import type { Command } from "../../lib/command.js";
import { UserError } from "../../lib/errors.js";
import { meshType } from "../../resources/mesh.js";
import type { Registry } from "../../resources/registry.js";
import type { Column, ResourceType } from "../../resources/resource.js";
import { type ApiClient, collectionPath } from "../api-client.js";
import { describeAuthority } from "../authority.js";
import { connect } from "../connection.js";
import { command } from "../globals.js";
import { requireMesh } from "../mesh-exists.js";
import { type Format, outputFlag, parseFormat, renderList, renderValue } from "../output.js";
import { resourceTable } from "../table.js";
import { verbatim } from "../template.js";

/** `get KIND [NAME]`: one command for each type that has CLI names. */
export function getCommands(registry: Registry): Command[] {
  return registry.types.flatMap((type) => (type.cli === undefined ? [] : [getCommand(type, type.cli)]));
}

function getCommand(type: ResourceType, { singular, plural, aliases }: NonNullable<ResourceType["cli"]>): Command {
  const kinds = type.name + plural.slice(singular.length);
  return command({
    path: `get ${plural}`,
    aliases: [singular, ...aliases.filter((alias) => alias !== singular)].filter((alias) => alias !== plural),
    summary: `Show ${kinds}`,
    details: `All of them, or the one with this name: with -o yaml as "kumactl apply" takes it.`,
    args: ["[NAME]"],
    flags: { output: outputFlag },
    async run({ flags, args: [name], globals, io, logLevel }) {
      const format = parseFormat(flags.output);
      const { client } = await connect({ globals, io, logLevel });
      if (name !== undefined) {
        const item = await findOne(client, type, globals.mesh, name);
        io.stdout.write(await renderOne(format, type, item));
        return;
      }
      const items = await client.list(collectionPath(type, globals.mesh)).catch((error: unknown) => {
        throw listFailure(kinds, error);
      });
      if (items.length === 0 && type.scope === "mesh") await requireMesh(client, globals.mesh);
      const columns = format === "table" && type.name === meshType.name ? await meshColumns(client) : type.columns;
      io.stdout.write(await renderList(format, items, () => resourceTable(type, columns, items)));
    },
  });
}

/** The YAML format is valid input for `apply`, even when the content looks like a template. */
async function renderOne(format: Format, type: ResourceType, item: unknown): Promise<string> {
  if (format === "table") return resourceTable(type, type.columns, [item]);
  const text = await renderValue(format, item);
  return format === "yaml" ? verbatim(text) : text;
}

/** @throws UserError `resource.not-found` */
async function findOne(client: ApiClient, type: ResourceType, mesh: string, name: string): Promise<unknown> {
  const item = await client.find(type, mesh, name);
  if (item !== undefined) return item;
  const place = type.scope === "global" ? "" : ` in mesh "${mesh}"`;
  throw UserError.of("resource.not-found", { type: type.name, name, place });
}

/** The CA column only appears when a mesh's certificate authority is not active. */
async function meshColumns(client: ApiClient): Promise<readonly Column[]> {
  const columns = meshType.columns as readonly Column[];
  const notable = new Map(
    (await client.authorities()).filter(({ state }) => state !== "active").map((status) => [status.mesh, status]),
  );
  if (notable.size === 0) return columns;
  const cell = ({ name }: { readonly name: string }) => {
    const status = notable.get(name);
    return status === undefined ? "builtin" : describeAuthority(status);
  };
  return [...columns, { title: "CA", cell }];
}

/** The control plane's own message is shown alone; other errors say what was attempted. */
export function listFailure(kinds: string, error: unknown): unknown {
  if (!(error instanceof UserError) || error.id === "api.refused") return error;
  return error.within("listing", { kinds });
}
