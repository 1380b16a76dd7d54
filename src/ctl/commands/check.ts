import { text, toggle } from "../../lib/cli.js";
import { UserError } from "../../lib/errors.js";
import { build } from "../../lib/version.js";
import { categoriesFor } from "../check/categories.js";
import { type CheckResult, runChecks } from "../check/check.js";
import type { Scope } from "../check/context.js";
import { askControlPlane } from "../check/control-plane.js";
import { thisMachine } from "../check/machine.js";
import { createTable, renderJson } from "../check/report.js";
import { connect } from "../connection.js";
import { command } from "../globals.js";

const formats = ["table", "json"] as const;

function outputFormat(raw: string): (typeof formats)[number] {
  const format = formats.find((known) => known === raw);
  if (format !== undefined) return format;
  throw UserError.of("output.choice", { formats: formats.join(" and ") });
}

/** The token to check; a file needs a name, because the file alone does not say whose token it should be. */
function tokenOf(file: string | undefined, name: string | undefined, mesh: string): Scope["token"] {
  if (file === undefined && name === undefined) return undefined;
  if (file !== undefined && name !== undefined) return { file, name, mesh };
  throw UserError.of("flag.together", { flags: "--token-file and --name" });
}

export const check = command({
  path: "check",
  summary: "Find what is wrong with this machine, the Control Plane and the Dataplanes",
  details:
    "Each line is one check. A failed one is followed by the reason, the fix, and the section of README.md about it.\n" +
    "All meshes are checked unless --mesh names one. The exit code is 1 when a check failed; warnings don't count.",
  examples: [
    "kumactl check",
    "kumactl check --pre",
    "kumactl check --mesh demo -o json",
    "kumactl check --token-file /tmp/redis-1-token --name redis-1 --mesh demo",
  ],
  flags: {
    output: text("output", {
      short: "o",
      help: "output format: one of table|json",
      default: "table" as (typeof formats)[number],
      parse: outputFormat,
      choices: formats,
    }),
    pre: toggle("pre", { help: "check only what a Control Plane or a Dataplane on this machine will need" }),
    tokenFile: text("token-file", { placeholder: "FILE", help: "check the dataplane token in this file as well" }),
    name: text("name", { help: "name of the Dataplane that the token is for" }),
  },
  async run({ flags, globals, given, io, logLevel }) {
    const scope: Scope = {
      pre: flags.pre,
      mesh: given.has("mesh") ? globals.mesh : undefined,
      token: tokenOf(flags.tokenFile, flags.name, globals.mesh),
    };
    const machine = thisMachine(io.env);
    const controlPlane = askControlPlane(() => connect({ globals, io, logLevel }), scope, Date.now);
    const context = { version: build.version, scope, machine, controlPlane };
    const table = createTable(io);
    const results: CheckResult[] = [];
    for await (const result of runChecks(categoriesFor(scope), context)) {
      results.push(result);
      if (flags.output === "table") io.stdout.write(table.lines(result));
    }
    io.stdout.write(flags.output === "table" ? table.end() : renderJson(results));
    return results.some(({ outcome }) => outcome.result === "error") ? 1 : 0;
  },
});
