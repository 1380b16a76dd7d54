import { command, runProgram, text, toggle } from "../lib/cli.js";
import { type LogFormat, parseLogFormat } from "../lib/logger.js";
import { handoverVariable, holdSignals } from "./executed.js";
import { table } from "./settings.js";

/** Signals are held from the start when an Envoy already runs, because this process executed itself. */
const heldSignals = process.env[handoverVariable] === undefined ? undefined : holdSignals();

/** The flag for a setting. A flag that is not given falls back to the environment and the default. */
function flag(key: keyof typeof table, name: string, placeholder = "string") {
  const { sentence, env, default: preset } = table[key];
  const value = typeof preset === "string" && preset !== "" ? ` (default "${preset}")` : "";
  return text(name, { help: `${sentence} [$${env[0]}]${value}`, placeholder });
}

const run = command({
  path: "run",
  summary: "Run Envoy as the proxy of one Dataplane",
  details: "Every setting has a flag and an environment variable; the flag takes precedence.",
  examples: ["kuma-dp run --name=backend-1 --mesh=default --cp-address=http://localhost:5682"],
  flags: {
    name: flag("name", "name"),
    mesh: flag("mesh", "mesh"),
    cpAddress: flag("cpAddress", "cp-address"),
    caCertFile: flag("caCertFile", "ca-cert-file"),
    adminPort: flag("adminPort", "admin-port", "port"),
    healthPort: flag("healthPort", "health-port", "port"),
    concurrency: flag("concurrency", "concurrency", "int"),
    binaryPath: flag("binaryPath", "binary-path"),
    configDir: flag("configDir", "config-dir"),
    dataplaneTokenFile: flag("dataplaneTokenFile", "dataplane-token-file"),
    check: toggle("check", {
      help: "check settings, files and Envoy, print the result as JSON, and start nothing",
    }),
    logFormat: text("log-format", {
      help: "log format: one of text|json",
      default: "text" as LogFormat,
      parse: parseLogFormat,
      choices: ["text", "json"],
    }),
  },
  async run({ flags: { logFormat: format, check, ...flags }, io, logLevel }) {
    const { readSettings } = await import("./settings.js");
    const { createLogger } = await import("../lib/logger.js");
    const { checkDataplane, runDataplane, thisMachine } = await import("./run.js");
    const logger = createLogger({
      name: "kuma-dp.run",
      level: logLevel,
      format,
      write: (line) => void io.stderr.write(line),
    });
    const notice = (sentence: string) => void io.stderr.write(`Warning: ${sentence}\n`);
    const { [handoverVariable]: handover, ...env } = io.env;
    delete process.env[handoverVariable];
    const { settings, warnings } = readSettings(flags, env, process.cwd());
    for (const warning of warnings) notice(warning);
    logger.info("effective configuration", { ...settings });
    const machine = thisMachine(env, notice);
    if (check) {
      io.stdout.write(`${JSON.stringify(await checkDataplane(settings, machine))}\n`);
      return 0;
    }
    const [program, args] = [process.argv0, process.argv.slice(2)];
    const invocation = { program, args, env, workingDirectory: process.cwd() };
    return runDataplane(settings, machine, logger, { invocation, handover, heldSignals });
  },
});

/** kuma-dp; resolves with the exit code. */
export function main(args: string[]): Promise<number> {
  const description = "Runs next to a service: fetches the configuration of its proxy and keeps Envoy running with it";
  return runProgram({ name: "kuma-dp", description, commands: [run], logLevel: "off" }, args);
}
