import type { Command } from "../../lib/command.js";
import { UserError } from "../../lib/errors.js";
import type { Registry } from "../../resources/registry.js";
import type { ResourceType } from "../../resources/resource.js";
import { collectionPath } from "../api-client.js";
import { connect } from "../connection.js";
import { command } from "../globals.js";
import { outputFlag, parseFormat, renderList } from "../output.js";
import { resourceTable } from "../table.js";

/** `get KIND`, one command for every type that kumactl has words for. */
export function getCommands(registry: Registry): Command[] {
  return registry.types.flatMap((type) => (type.cli === undefined ? [] : [getCommand(type, type.cli)]));
}

function getCommand(type: ResourceType, { singular, plural, aliases }: NonNullable<ResourceType["cli"]>): Command {
  const kinds = type.name + plural.slice(singular.length);
  return command({
    path: `get ${plural}`,
    aliases: aliases.filter((alias) => alias !== singular),
    summary: `Show ${kinds}`,
    flags: { output: outputFlag },
    async run({ flags, globals, io, logLevel }) {
      const format = parseFormat(flags.output);
      const { client } = await connect({ globals, io, logLevel });
      const items = await client.list(collectionPath(type, globals.mesh)).catch((error: unknown) => {
        throw listFailure(kinds, error);
      });
      io.stdout.write(await renderList(format, items, () => resourceTable(type, type.columns, items)));
    },
  });
}

/** What the control plane itself said stands alone; everything else says what was attempted. */
export function listFailure(kinds: string, error: unknown): unknown {
  if (!(error instanceof UserError) || error.id === "api.refused") return error;
  return new UserError(error.id, `failed to list ${kinds}: ${error.message}`, { causes: error.causes, cause: error });
}
