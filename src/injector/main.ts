import { command, type Io, runProgram, text, toggle } from "../lib/cli.js";
import { type LogFormat, type LogLevel, parseLogFormat } from "../lib/logger.js";

const configFile = text("config-file", { short: "c", help: "configuration file in YAML" });
const nativeSidecar = text("native-sidecar", {
  help: "whether sidecars are native: one of auto|true|false [$KUMA_INJECTOR_NATIVE_SIDECAR]",
  placeholder: "auto|true|false",
  choices: ["auto", "true", "false"],
});

async function read(
  flags: { readonly configFile: string | undefined; readonly nativeSidecar: string | undefined },
  io: Io,
) {
  const { readConfigFile } = await import("../lib/config-file.js");
  const { readSettings } = await import("./settings.js");
  const file = flags.configFile === undefined ? undefined : await readConfigFile(flags.configFile);
  return readSettings({ file, env: io.env, flags: { nativeSidecar: flags.nativeSidecar } });
}

const runCommand = command({
  path: "run",
  summary: "Run the webhook that adds sidecars to pods",
  details: "Settings come from the configuration file and, before that, from the environment.",
  examples: ["kuma-injector run --config-file=/etc/kuma.io/kuma-injector/config.yaml"],
  flags: {
    configFile,
    nativeSidecar,
    logFormat: text("log-format", {
      help: "log format: one of text|json",
      default: "text" as LogFormat,
      parse: parseLogFormat,
      choices: ["text", "json"],
    }),
  },
  async run({ flags, io, logLevel }) {
    const { createLogger } = await import("../lib/logger.js");
    const { settingsDocument } = await import("../lib/settings-pages.js");
    const { abortOnSignal, stopOnSignal } = await import("../lib/signals.js");
    const { startInjector } = await import("./run.js");
    const { table } = await import("./settings.js");
    const { settings, values, warnings } = await read(flags, io);
    const logger = createLogger({
      name: "kuma-injector.run",
      level: logLevel satisfies LogLevel,
      format: flags.logFormat,
      write: (line) => void io.stderr.write(line),
    });
    for (const warning of warnings) logger.warn(warning);
    logger.info("effective configuration", settingsDocument(table, values));
    const start = abortOnSignal();
    const injector = await startInjector(settings, io.env, logger, start.signal);
    if (start.signal.aborted) {
      await injector.close();
      return 0;
    }
    let last = "";
    const stopping = (signal: string) => {
      last = signal;
      logger.info("stopping", { signal });
    };
    // Ctrl-C comes from a person, whom no Service sends requests.
    const close = () => (last === "SIGTERM" ? injector.retire() : injector.close());
    const stopped = stopOnSignal({ close }, stopping, settings.shutdownDelay + 1_900);
    start.release();
    io.stdout.write(`kuma-injector is ready: https://localhost:${injector.port}/inject-sidecar\n`);
    return stopped;
  },
});

const configCommand = command({
  path: "config",
  summary: "Show every setting, its value and where it came from",
  examples: ["kuma-injector config", "kuma-injector config --example"],
  flags: {
    configFile,
    nativeSidecar,
    example: toggle("example", { help: "print a configuration file that explains every setting, with its default" }),
  },
  async run({ flags, io }) {
    const { exampleYaml, settingsTable } = await import("../lib/settings-pages.js");
    const { defaults, table } = await import("./settings.js");
    if (flags.example) {
      io.stdout.write(exampleYaml(table, defaults));
      return;
    }
    const { values, origins, warnings } = await read(flags, io);
    for (const warning of warnings) io.stderr.write(`Warning: ${warning}\n`);
    io.stdout.write(settingsTable(table, values, origins));
  },
});

/** kuma-injector; resolves with the exit code. */
export function main(args: string[]): Promise<number> {
  const description = "Adds a kuma-dp container to pods as Kubernetes admits them";
  return runProgram(
    { name: "kuma-injector", description, commands: [runCommand, configCommand], logLevel: "info" },
    args,
  );
}
