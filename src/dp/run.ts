import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { readToken } from "../identity/token-file.js";
import { diagnose, findEnvoy, type LookupPlace } from "../lib/envoy-binary.js";
import { messageOf, UserError } from "../lib/errors.js";
import type { Logger } from "../lib/logger.js";
import { type AccessLogs, forwardAccessLogs } from "./access-logs.js";
import { type ControlPlane, fetchBootstrap } from "./bootstrap-client.js";
import { prepareBootstrap } from "./bootstrap-document.js";
import { type ConfigDir, createTemporary, files, openGiven } from "./config-dir.js";
import { type EnvoyAdmin, envoyAdmin } from "./envoy-admin.js";
import { startEnvoy } from "./envoy-process.js";
import { serveHealth } from "./health.js";
import { releaseStartUpMemory } from "./memory.js";
import { type PidRecord, writePidRecord } from "./orphan.js";
import { type ProcessTable, processTable } from "./process-facts.js";
import type { Settings } from "./settings.js";
import { type Child, type Supervisor, supervise } from "./supervisor.js";
import { takeOver } from "./take-over.js";
import { followToken } from "./token.js";
import { misdirection, unreachable, type XdsServer } from "./xds-server.js";

/** The machine around one run. */
export interface Machine {
  readonly place: LookupPlace;
  readonly temporary: string;
  readonly uid: number;
  readonly processes: ProcessTable;
  /** Shows the user a sentence, whatever the log level is. */
  readonly notice: (sentence: string) => void;
}

/** The machine that this process runs on. */
export function thisMachine(env: Readonly<Record<string, string | undefined>>, notice: Machine["notice"]): Machine {
  return {
    place: { searchPath: env.PATH ?? "", self: process.execPath, workingDirectory: process.cwd() },
    temporary: tmpdir(),
    uid: process.getuid?.() ?? -1,
    processes: processTable,
    notice,
  };
}

interface Context {
  readonly settings: Settings;
  readonly machine: Machine;
  readonly logger: Logger;
}

const stopMarginMs = 3000;
const connectionPollMs = 200;
/** An Envoy that fails this soon is asked whether it can run here at all. */
const neverRanMs = 2000;
const diagnosisMs = 700;

const noToken =
  "no dataplane token is given: traffic of this dataplane will fail as soon as its mesh enables mTLS. " +
  "Make a token with `kumactl generate dataplane-token` and pass its file with --dataplane-token-file.";

function controlPlane({ controlPlane: { kind, url }, caCertFile }: Settings): ControlPlane {
  if (caCertFile === undefined) return { kind, url };
  try {
    return { kind, url, ca: readFileSync(caCertFile, "utf8") };
  } catch (error) {
    throw new UserError("ca-cert.unreadable", `could not read --ca-cert-file ${caCertFile}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

async function fetch({ settings, machine, logger }: Context, withToken: boolean, signal: AbortSignal): Promise<string> {
  const { mesh, name, adminPort } = settings;
  let told = false;
  const retry = {
    pause: settings.retryBackoff,
    giveUp: settings.retryMaxDuration,
    waiting: (reason: string) => {
      logger.info("waiting for the control plane", { reason });
      // The default log level is off, and five silent minutes would look like a hang.
      if (!told && logger.level === "off") machine.notice(`${reason}. Waiting for the control plane.`);
      told = true;
    },
  };
  const request = { mesh, name, adminPort, ...(withToken ? { dataplaneTokenPath: files.token } : {}) };
  return fetchBootstrap(controlPlane(settings), request, retry, signal);
}

function openConfigDir({ settings, machine }: Context): ConfigDir {
  const { configDir, mesh, name } = settings;
  return configDir === undefined ? createTemporary(machine.temporary, mesh, name) : openGiven(configDir);
}

/** Says what is wrong with where Envoy is sent for its configuration; Envoy is not kept waiting for that. */
function noteXds({ settings, machine }: Context, xds: XdsServer | undefined, signal: AbortSignal): void {
  if (xds === undefined) return;
  const wrong = misdirection(xds, settings.controlPlane.url);
  if (wrong !== undefined) machine.notice(wrong);
  else void unreachable(xds, signal).then((said) => said !== undefined && machine.notice(said));
}

/** Notes who runs which Envoy, so that the next start can end it should we be killed. Without /proc there is nothing to note. */
function record({ settings, machine }: Context, directory: string, envoy?: { pid: number; binary: string }): void {
  const own = machine.processes(process.pid);
  if (own === undefined) return;
  const { mesh, name } = settings;
  const start: PidRecord = { mesh, name, kumaDp: { pid: process.pid, startTime: own.startTime } };
  const facts = envoy && machine.processes(envoy.pid);
  if (envoy === undefined || facts === undefined) writePidRecord(directory, start);
  else {
    const { pid, binary } = envoy;
    writePidRecord(directory, { ...start, envoy: { pid, startTime: facts.startTime, executable: binary } });
  }
}

function keepToken({ settings, logger }: Context, token: string, configDir: ConfigDir, signal: AbortSignal): void {
  if (settings.tokenFile === undefined) return;
  const copy = {
    source: settings.tokenFile,
    initial: token,
    write: (fresh: string) => configDir.write(files.token, fresh),
    failed: (error: unknown) => logger.error("the dataplane token was not renewed", { error }),
    replaced: () => logger.info("dataplane token replaced", { source: settings.tokenFile }),
  };
  followToken(copy, signal);
}

async function terminated(binary: string, startedAt: number, reason: string): Promise<UserError> {
  const cause = Date.now() - startedAt < neverRanMs ? await diagnose(binary, diagnosisMs) : undefined;
  const detail = cause === undefined ? reason : `${binary} cannot run here: ${cause}`;
  return new UserError("envoy.failed", `Envoy terminated with an error: ${detail}`);
}

/** What has to be ended or removed however the run goes. */
interface Held {
  child?: Child;
  configDir?: ConfigDir;
  supervisor?: Supervisor;
  admin?: EnvoyAdmin | undefined;
  accessLogs?: AccessLogs;
}

/** From settings to a stopped Envoy; the exit code. */
async function live(context: Context, held: Held, stop: AbortSignal, over: AbortSignal): Promise<number> {
  const { settings, machine, logger } = context;
  const token = settings.tokenFile === undefined ? undefined : readToken(settings.tokenFile);
  if (token === undefined) machine.notice(noToken);
  const binary = findEnvoy(settings.binaryPath, machine.place);

  const bootstrap = await prepareBootstrap(await fetch(context, token !== undefined, stop));
  noteXds(context, bootstrap.xds, over);
  const { temporary, uid, processes } = machine;
  await takeOver(settings, { temporary, given: settings.configDir, uid, processes }, logger);
  stop.throwIfAborted();

  const configDir = openConfigDir(context);
  held.configDir = configDir;
  record(context, configDir.path);
  configDir.write(files.bootstrap, bootstrap.yaml);
  if (token !== undefined) keepToken(context, token, configDir, over);
  // A Unix socket's path is limited to 107 bytes, a config dir's is not: from here on it is named relatively.
  process.chdir(configDir.path);

  const reopen = async () => held.admin?.reopenLogs();
  const accessLogs = await forwardAccessLogs({
    directory: configDir.path,
    logger: logger.child("access-logs"),
    reopen,
  });
  held.accessLogs = accessLogs;

  const startedAt = Date.now();
  const { drainTime, concurrency } = settings;
  const child = await startEnvoy({
    binary,
    configDir: configDir.path,
    bootstrapFile: path.join(configDir.path, files.bootstrap),
    drainTime,
    concurrency,
    logLevel: logger.level,
  });
  held.child = child;
  record(context, configDir.path, { pid: child.pid, binary });
  logger.info("started Envoy", { pid: child.pid, binary, configDir: configDir.path, concurrency });

  held.admin = bootstrap.admin && envoyAdmin(bootstrap.admin);
  const supervisor = supervise({
    child,
    admin: held.admin,
    drainTime,
    margin: stopMarginMs,
    poll: connectionPollMs,
    entered: (state) => logger.info(`Envoy: ${state.name}`),
    undrained: (error) => logger.info("Envoy could not be drained", { error }),
  });
  held.supervisor = supervisor;
  if (stop.aborted) supervisor.signal();
  setImmediate(releaseStartUpMemory);

  const outcome = await supervisor.outcome;
  if (outcome.kind !== "hurried") await accessLogs.finish();
  if (outcome.kind === "failed") throw await terminated(binary, startedAt, outcome.reason);
  return outcome.kind === "hurried" ? 1 : 0;
}

/**
 * Runs one dataplane proxy: fetches its bootstrap, starts Envoy with it and stays beside it until the end. The process
 * is not handed over to Envoy: draining, readiness, the token copy and a clean end all need somebody beside it.
 * Resolves with the exit code; throws UserError for what the user can mend.
 */
export async function runDataplane(settings: Settings, machine: Machine, logger: Logger): Promise<number> {
  const held: Held = {};
  const stop = new AbortController();
  const over = new AbortController();

  const onSignal = (signal: NodeJS.Signals) => {
    logger.info("stopping", { signal });
    if (held.supervisor === undefined) stop.abort();
    else held.supervisor.signal();
  };
  // Also the last resort for every way out that passes by the end of this function.
  const release = () => {
    if (held.supervisor?.state().name !== "ended") held.child?.kill("SIGKILL");
    held.accessLogs?.abort();
    held.configDir?.remove();
  };
  // A closed terminal is a wish to stop as well: its default would end kuma-dp and leave Envoy.
  const signals = ["SIGTERM", "SIGINT", "SIGHUP"] as const;
  for (const signal of signals) process.on(signal, onSignal);
  process.on("exit", release);

  const running = () => held.supervisor !== undefined && held.supervisor.state().name !== "ended";
  const ready = async () => held.supervisor?.state().name === "running" && (await held.admin?.live()) === true;
  const health = settings.healthPort === 0 ? undefined : serveHealth(settings.healthPort, { running, ready });
  try {
    await health;
    return await live({ settings, machine, logger }, held, stop.signal, over.signal);
  } catch (error) {
    if (stop.signal.aborted && error === stop.signal.reason) return 0;
    throw error;
  } finally {
    over.abort();
    release();
    for (const signal of signals) process.off(signal, onSignal);
    process.off("exit", release);
    await health?.then(
      (server) => server.close(),
      () => {},
    );
  }
}
