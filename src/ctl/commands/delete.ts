import type { Command } from "../../lib/command.js";
import { UserError } from "../../lib/errors.js";
import { nearest } from "../../lib/suggest.js";
import type { Registry } from "../../resources/registry.js";
import { connect } from "../connection.js";
import { command } from "../globals.js";

export function deleteCommand(registry: Registry): Command {
  const words = registry.types.flatMap(({ access, cli }) => (access === "full" && cli ? [cli.singular] : []));
  return command({
    path: "delete",
    summary: "Delete Kuma resources",
    details: `TYPE is one of: ${words.join(", ")}.`,
    examples: ["kumactl delete dataplane redis-1 --mesh demo"],
    args: ["TYPE", "NAME"],
    argChoices: [words],
    async run({ args: [word = "", name = ""], globals, io, logLevel }) {
      const type = registry.byCliWord(word);
      if (type?.access !== "full") throw unknownWord(word, words);
      const { client } = await connect({ globals, io, logLevel });
      const mesh = type.scope === "global" ? name : globals.mesh;
      if (!(await client.delete(type, mesh, name))) throw UserError.of("resource.missing", { type: type.name, name });
      io.stdout.write(`deleted ${type.name} "${name}"\n`);
    },
  });
}

function unknownWord(word: string, words: readonly string[]): UserError {
  const meant = nearest(word, words);
  const hint = meant === undefined ? "" : `. Did you mean ${meant}?`;
  return UserError.of("type.unknown", { type: word, types: words.join(", "), hint });
}
