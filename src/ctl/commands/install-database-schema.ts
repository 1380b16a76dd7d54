import { text } from "../../lib/cli.js";
import { UserError } from "../../lib/errors.js";
import { schema } from "../../store/postgres/schema.js";
import { command } from "../globals.js";

const schemas: ReadonlyMap<string, string> = new Map([["postgres", schema]]);

export const installDatabaseSchema = command({
  path: "install database-schema",
  summary: "Print the SQL that prepares a database",
  examples: ["kumactl install database-schema | psql -h localhost -U kuma kuma"],
  flags: {
    target: text("target", { help: "kind of database: postgres", default: "postgres", choices: [...schemas.keys()] }),
  },
  async run({ flags: { target }, io }) {
    const sql = schemas.get(target);
    if (sql === undefined) throw UserError.of("schema.unknown", { target });
    io.stdout.write(sql);
  },
});
