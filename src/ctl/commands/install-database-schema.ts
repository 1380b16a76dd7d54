import { text } from "../../lib/cli.js";
import { UserError } from "../../lib/errors.js";
import { command } from "../globals.js";

/** May be run again at any time: what exists stays as it is. */
const postgres = `CREATE TABLE IF NOT EXISTS resources (
    name        varchar(100) NOT NULL,
    namespace   varchar(100) NOT NULL,
    mesh        varchar(100) NOT NULL,
    type        varchar(100) NOT NULL,
    version     integer NOT NULL,
    spec        text,
    PRIMARY KEY (name, namespace, mesh, type)
);
`;

const schemas: ReadonlyMap<string, string> = new Map([["postgres", postgres]]);

export const installDatabaseSchema = command({
  path: "install database-schema",
  summary: "Print the SQL that prepares a database",
  examples: ["kumactl install database-schema | psql -h localhost -U kuma kuma"],
  flags: {
    target: text("target", { help: "kind of database: postgres", default: "postgres", choices: [...schemas.keys()] }),
  },
  async run({ flags: { target }, io }) {
    const schema = schemas.get(target);
    if (schema === undefined) throw new UserError("target.unknown", `unknown target type: ${target}`);
    io.stdout.write(schema);
  },
});
