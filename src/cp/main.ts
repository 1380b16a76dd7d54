import { command, type Io, runProgram, text, toggle } from "../lib/cli.js";
import { UserError } from "../lib/errors.js";
import { hostPort } from "../lib/host.js";
import { type LogFormat, parseLogFormat } from "../lib/logger.js";

function outputFormat(raw: string): "table" | "yaml" {
  if (raw === "table" || raw === "yaml") return raw;
  throw UserError.of("output.unknown", { format: raw, hint: "; known ones are table and yaml" });
}

async function readFile(path: string): Promise<{ path: string; text: string }> {
  const { readFileSync } = await import("node:fs");
  try {
    return { path, text: readFileSync(path, "utf8") };
  } catch (error) {
    throw UserError.of("settings.file", { file: path }, { cause: error });
  }
}

/** The command to run next: kumactl knows the default address. */
function nextCommand(host: string, apiPort: number): string {
  const address = `http://${hostPort(host, apiPort)}`;
  if (address === "http://localhost:5681") return "kumactl get meshes";
  return `kumactl config control-planes add --name=local --address=${address} --overwrite`;
}

async function run(configFile: string | undefined, format: LogFormat, level: "off" | "info" | "debug", io: Io) {
  const { createLogger } = await import("../lib/logger.js");
  const { readSettings, settingsDocument } = await import("./settings.js");
  const { startControlPlane } = await import("./run.js");
  const { abortOnSignal, stopOnSignal } = await import("./signals.js");
  const { chosenKind } = await import("./store-settings.js");
  const { storeKinds } = await import("../store/kinds.js");

  const file = configFile === undefined ? undefined : await readFile(configFile);
  const { settings, warnings } = readSettings(file, io.env);
  const logger = createLogger({ name: "kuma-cp.run", level, format, write: (line) => void io.stderr.write(line) });
  for (const warning of warnings) logger.warn(warning);
  logger.info("effective configuration", settingsDocument(settings));
  const start = abortOnSignal();
  const controlPlane = await startControlPlane(settings, logger, start.signal).catch((error: unknown) => {
    if (start.signal.aborted) return undefined;
    throw error;
  });
  if (start.signal.aborted || controlPlane === undefined) {
    await controlPlane?.close();
    return 0;
  }
  process.on("SIGUSR1", () => logger.info("there is no log file to reopen: the log goes to standard error"));
  // Before the output says that it runs: whoever reads it may send a signal at once.
  const stopped = stopOnSignal(controlPlane, (signal) => logger.info("stopping", { signal }));
  start.release();
  const { ports } = controlPlane;
  const host = settings.advertisedHostname;
  const { notice } = chosenKind(storeKinds, settings);
  if (notice !== undefined) logger.info(notice);
  io.stdout.write(
    `The control plane is ready.\n` +
      `  HTTP API   http://${hostPort(host, ports.api)}\n` +
      `  bootstrap  http://${hostPort(host, ports.bootstrap)}\n` +
      `  xDS        ${hostPort(host, ports.xds)} (gRPC)\n` +
      `  SDS        ${hostPort(host, ports.sds)} (gRPC over TLS)\n` +
      `  health     http://${hostPort(host, ports.health)}/ready\n` +
      (ports.localTokens === undefined ? "" : `  tokens     http://localhost:${ports.localTokens}\n`) +
      (ports.publicTokens === undefined
        ? ""
        : `             https://${hostPort(host, ports.publicTokens)} (client certificate)\n`) +
      `Next, in another terminal:\n  ${nextCommand(host, ports.api)}\n`,
  );
  return stopped;
}

const configFile = text("config-file", { short: "c", help: "configuration file in YAML" });

const configCommand = command({
  path: "config",
  summary: "Show every setting, its value and where it came from",
  examples: ["kuma-cp config", "kuma-cp config -c kuma-cp.conf.yaml -o yaml", "kuma-cp config --example"],
  flags: {
    configFile,
    output: text("output", {
      short: "o",
      help: "output format: one of table|yaml",
      default: "table" as "table" | "yaml",
      parse: outputFormat,
      choices: ["table", "yaml"],
    }),
    example: toggle("example", { help: "print a configuration file that explains every setting, with its default" }),
  },
  async run({ flags, io }) {
    const { originsVariable, readSettings } = await import("./settings.js");
    const { allowedOrigins } = await import("../net/origins.js");
    const { exampleYaml, settingsTable, settingsYaml } = await import("./settings-pages.js");
    if (flags.example) {
      io.stdout.write(exampleYaml(readSettings(undefined, {}).settings));
      return;
    }
    const read = readSettings(flags.configFile === undefined ? undefined : await readFile(flags.configFile), io.env);
    await allowedOrigins(read.settings.corsAllowedDomains, originsVariable);
    for (const warning of read.warnings) io.stderr.write(`Warning: ${warning}\n`);
    io.stdout.write(flags.output === "yaml" ? settingsYaml(read) : settingsTable(read));
  },
});

const runCommand = command({
  path: "run",
  summary: "Launch the control plane",
  details: "Settings come from the environment and from the configuration file; the environment takes precedence.",
  examples: ["kuma-cp run", "KUMA_API_SERVER_PORT=0 kuma-cp run -c kuma-cp.conf.yaml"],
  flags: {
    configFile,
    logFormat: text("log-format", {
      help: "log format: one of text|json",
      default: "text" as LogFormat,
      parse: parseLogFormat,
      choices: ["text", "json"],
    }),
  },
  run: ({ flags, io, logLevel }) => run(flags.configFile, flags.logFormat, logLevel, io),
});

/** kuma-cp; resolves with the exit code. */
export function main(args: string[]): Promise<number> {
  const description = "The control plane: keeps meshes, dataplanes and policies, and configures every Envoy";
  return runProgram({ name: "kuma-cp", description, commands: [runCommand, configCommand], logLevel: "info" }, args);
}
