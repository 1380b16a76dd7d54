import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { diagnose, findEnvoy, type LookupPlace } from "../lib/envoy-binary.js";
import { messageOf, UserError } from "../lib/errors.js";
import type { Logger } from "../lib/logger.js";
import { type AccessLogs, forwardAccessLogs } from "./access-logs.js";
import { adopt } from "./adopted.js";
import { type ControlPlane, fetchBootstrap } from "./bootstrap-client.js";
import { prepareBootstrap } from "./bootstrap-document.js";
import { type ConfigDir, createTemporary, examineGiven, files, openGiven, reopen } from "./config-dir.js";
import { type EnvoyAdmin, envoyAdmin } from "./envoy-admin.js";
import { startEnvoy } from "./envoy-process.js";
import { controlSignals, type OnSignal } from "./executed.js";
import { closeKeptFifo, type Inherited, inheritedRun, presentBootstrap, replaceEnvoy } from "./handover.js";
import { serveHealth } from "./health.js";
import { hotRestartObstacle, hotRestartVersion, prepareHotRestart, removeSharedMemory } from "./hot-restart.js";
import { watchListeners } from "./listener-watch.js";
import { releaseStartUpMemory } from "./memory.js";
import { type RecordedEnvoy, writePidRecord } from "./orphan.js";
import { hasTerminal, type ProcessTable, processTable } from "./process-facts.js";
import { becomeExecutable, type CheckReport, type Invocation } from "./reload.js";
import { createReloading } from "./reloading.js";
import { createReopening } from "./reopening.js";
import { givenToken, keepToken, presentToken } from "./run-token.js";
import type { Settings } from "./settings.js";
import { followStatus } from "./status.js";
import { askStatus, reportListeners } from "./status-client.js";
import { type Child, type Supervisor, supervise } from "./supervisor.js";
import { takeOver } from "./take-over.js";
import { connectionWarning, loopbackWarning, type XdsServer } from "./xds-server.js";

/** The machine that one run depends on. */
export interface Machine {
  readonly place: LookupPlace;
  readonly temporary: string;
  readonly uid: number;
  readonly processes: ProcessTable;
  /** Shows a sentence to the user regardless of the log level. */
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
const listenerPollMs = 5000;
/** When Envoy fails this soon, its binary is checked for whether it can run here at all. */
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
    throw UserError.of("ca-cert.unreadable", { file: caCertFile, reason: error });
  }
}

async function fetch(
  { settings, machine, logger }: Context,
  withToken: boolean,
  warned: (sentence: string) => void,
  signal: AbortSignal,
): Promise<string> {
  const { mesh, name, adminPort, logDirectories } = settings;
  let notified = false;
  const retry = {
    pause: settings.retryBackoff,
    giveUp: settings.retryMaxDuration,
    waiting: (reason: string) => {
      logger.info("waiting for the control plane", { reason });
      // The default log level is off, and five silent minutes would look like a hang.
      if (!notified && logger.level === "off") machine.notice(`${reason}. Waiting for the control plane.`);
      notified = true;
    },
    warned,
  };
  const request = { mesh, name, adminPort, logDirectories, ...(withToken ? { dataplaneTokenPath: files.token } : {}) };
  return fetchBootstrap(controlPlane(settings), request, retry, signal);
}

function openConfigDir({ settings, machine }: Context): ConfigDir {
  const { configDir, mesh, name } = settings;
  return configDir === undefined ? createTemporary(machine.temporary, mesh, name) : openGiven(configDir);
}

/** Warns when Envoy's xDS server is wrong or unreachable, without delaying Envoy. */
function checkXdsServer({ settings, machine }: Context, xds: XdsServer | undefined, signal: AbortSignal): void {
  if (xds === undefined) return;
  const wrong = loopbackWarning(xds, settings.controlPlane.url);
  if (wrong !== undefined) machine.notice(wrong);
  else void connectionWarning(xds, signal).then((warning) => warning !== undefined && machine.notice(warning));
}

/**
 * Records in the config dir which kuma-dp runs which Envoys, so that the next start can end them if we are killed, and
 * so that we find them after executing ourselves. Without /proc nothing is recorded.
 */
function record({ settings, machine }: Context, envoy?: RecordedEnvoy, predecessor?: RecordedEnvoy): void {
  const own = machine.processes(process.pid);
  if (own === undefined) return;
  const { mesh, name } = settings;
  writePidRecord(".", {
    mesh,
    name,
    kumaDp: { pid: process.pid, startTime: own.startTime },
    ...(envoy === undefined ? {} : { envoy }),
    ...(predecessor === undefined ? {} : { predecessor }),
  });
}

/** The record of an Envoy; undefined when there is no /proc or when it has already exited. */
function recordOf({ machine }: Context, pid: number, executable: string, epoch?: number): RecordedEnvoy | undefined {
  const startTime = machine.processes(pid)?.startTime;
  if (startTime === undefined) return undefined;
  return { pid, startTime, executable, ...(epoch === undefined ? {} : { epoch }) };
}

/** Reports problems that the control plane finds with this dataplane for as long as it runs. */
function watchStatus({ settings, machine, logger }: Context, signal: AbortSignal): void {
  const { mesh, name, statusInterval: interval, tokenFile } = settings;
  void followStatus({
    ask: async () => askStatus(controlPlane(settings), { mesh, name }, signal),
    interval,
    dataplane: { mesh, name, ...(tokenFile === undefined ? {} : { tokenFile }) },
    onProblem: machine.notice,
    recovered: (what) => logger.info(what),
    failed: (error) => logger.debug("the control plane was not asked for the status of the dataplane", { error }),
    signal,
  });
}

/** Reports listeners that Envoy failed to create for as long as this dataplane runs. */
function reportLostListeners({ settings, machine, logger }: Context, held: Held, signal: AbortSignal): void {
  const { mesh, name, statusInterval } = settings;
  void watchListeners({
    // During a handover and during a stop, missing listeners mean nothing.
    admin: () => (held.supervisor?.state().name === "running" ? held.admin : undefined),
    report: async (listeners) => reportListeners(controlPlane(settings), { mesh, name }, listeners, signal),
    interval: listenerPollMs,
    reassure: statusInterval,
    lost: (listeners) =>
      machine.notice(
        `Envoy has lost listeners that it had acknowledged: ${listeners.join(", ")}. It could not listen on their ` +
          "addresses, most likely because another process does; the control plane sends them again until it can",
      ),
    recovered: () => logger.info("Envoy has all listeners again"),
    unsupported: () =>
      logger.warn(
        "Envoy could not create a listener, and the release of the control plane is too old to accept a report of it",
      ),
    failed: (error) => logger.debug("the listeners of Envoy were not reported", { error }),
    signal,
  });
}

async function terminated(binary: string, startedAt: number, reason: string): Promise<UserError> {
  const cause = Date.now() - startedAt < neverRanMs ? await diagnose(binary, diagnosisMs) : undefined;
  const problem = cause === undefined ? reason : `${binary} cannot run here: ${cause}`;
  return UserError.of("envoy.failed", { problem });
}

/** What must be ended or removed whichever way the run ends. */
interface Held {
  /** Every Envoy that was started or adopted. */
  readonly children: Set<Child>;
  configDir?: ConfigDir;
  supervisor?: Supervisor;
  admin?: EnvoyAdmin | undefined;
  accessLogs?: AccessLogs;
}

/** Signals of the run's life cycle. */
interface Ends {
  /** Aborts when a stop is requested before Envoy runs. */
  readonly stop: AbortSignal;
  readonly over: AbortSignal;
  /** Call it whenever Envoy's state changes. */
  readonly changed: () => void;
}

function superviseEnvoy({ settings, logger }: Context, held: Held, { changed }: Ends, child: Child): Supervisor {
  held.children.add(child);
  return supervise({
    child,
    admin: held.admin,
    drainTime: settings.drainTime,
    margin: stopMarginMs,
    poll: connectionPollMs,
    entered(state) {
      logger.info(`Envoy: ${state.name}`);
      changed();
    },
    drainFailed: (error) => logger.warn("Envoy could not be drained", { error }),
  });
}

const logsOf = ({ logger }: Context, held: Held, directory: string) => ({
  directory,
  logger: logger.child("access-logs"),
  reopen: async () => held.admin?.reopenLogs(),
});

/** Waits until the run's Envoys have exited. Resolves with the exit code. */
async function untilEnd(held: Held, binary: string, startedAt: number): Promise<number> {
  setImmediate(releaseStartUpMemory);
  const outcome = await held.supervisor?.outcome;
  if (outcome?.kind !== "hurried") await held.accessLogs?.finish();
  if (outcome?.kind === "failed") throw await terminated(binary, startedAt, outcome.reason);
  return outcome?.kind === "hurried" ? 1 : 0;
}

/** A whole run from settings to a stopped Envoy. Resolves with the exit code. */
async function live(context: Context, held: Held, ends: Ends): Promise<number> {
  const { settings, machine, logger } = context;
  const { stop, over } = ends;
  const token = givenToken(settings);
  if (token === undefined) machine.notice(noToken);
  const binary = findEnvoy(settings.binaryPath, machine.place);
  // Fail early, before the control plane answers.
  if (settings.configDir !== undefined) examineGiven(settings.configDir);

  const warnings: string[] = [];
  const warned = (sentence: string) => void warnings.push(sentence);
  const bootstrap = await prepareBootstrap(await fetch(context, token !== undefined, warned, stop));
  checkXdsServer(context, bootstrap.xds, over);
  const { temporary, uid, processes } = machine;
  const ended = await takeOver(settings, { temporary, given: settings.configDir, uid, processes }, logger);
  // The other proxy that the control plane warned about was our own orphaned Envoy, which has just been ended.
  if (!ended) warnings.forEach(machine.notice);
  stop.throwIfAborted();

  const configDir = openConfigDir(context);
  held.configDir = configDir;
  record(context);
  configDir.write(files.bootstrap, bootstrap.yaml);
  if (token !== undefined) keepToken(context, token, configDir, over);
  held.accessLogs = await forwardAccessLogs(logsOf(context, held, configDir.path));

  const startedAt = Date.now();
  const { drainTime, concurrency } = settings;
  const generation = hotRestartObstacle() === undefined ? ({ epoch: 0 } as const) : undefined;
  if (generation !== undefined) prepareHotRestart();
  const logLevel = logger.level;
  const child = await startEnvoy({
    binary,
    bootstrapFile: files.bootstrap,
    drainTime,
    concurrency,
    logLevel,
    generation,
  });
  held.children.add(child);
  record(context, recordOf(context, child.pid, binary, generation?.epoch));
  logger.info("started Envoy", { pid: child.pid, binary, configDir: configDir.path, concurrency });

  held.admin = bootstrap.admin && envoyAdmin(bootstrap.admin);
  held.supervisor = superviseEnvoy(context, held, ends, child);
  watchStatus(context, over);
  reportLostListeners(context, held, over);
  if (stop.aborted) held.supervisor.signal();
  ends.changed();
  return untilEnd(held, binary, startedAt);
}

/** Continues with the Envoy that this process had before it executed itself, and starts a new one that takes over. */
async function resume(context: Context, held: Held, ends: Ends, inherited: Inherited): Promise<number> {
  const { settings, machine, logger } = context;
  const startedAt = Date.now();
  const child = adopt(inherited.envoy, machine.processes);
  held.children.add(child);
  const configDir = reopen(inherited.directory, settings.configDir === undefined);
  held.configDir = configDir;
  const { admin } = await presentBootstrap();
  held.admin = admin && envoyAdmin(admin);
  const supervisor = superviseEnvoy(context, held, ends, child);
  held.supervisor = supervisor;
  held.accessLogs = await forwardAccessLogs({ ...logsOf(context, held, configDir.path), existing: true });
  closeKeptFifo();
  const token = presentToken(settings, configDir, machine.notice);
  if (token !== undefined) keepToken(context, token, configDir, ends.over);
  watchStatus(context, ends.over);
  reportLostListeners(context, held, ends.over);
  const binary = findEnvoy(settings.binaryPath, machine.place);
  const { envoy } = inherited;

  const replaced = replaceEnvoy({
    inherited,
    configDir,
    supervisor,
    binary,
    drainTime: settings.drainTime,
    concurrency: settings.concurrency,
    logLevel: logger.level,
    logger,
    async fetch() {
      // The connected proxy of this name is the one that runs, so these warnings do not matter to the user.
      const warned = (warning: string) => logger.warn("the control plane warns", { warning });
      for (;;) {
        try {
          return await fetch(context, token !== undefined, warned, ends.over);
        } catch (error) {
          if (!(error instanceof UserError && error.id === "control-plane.unavailable")) throw error;
        }
      }
    },
    started(fresh, epoch, xds) {
      checkXdsServer(context, xds, ends.over);
      held.children.add(fresh);
      record(context, recordOf(context, fresh.pid, binary, epoch), envoy);
    },
    serves(fresh) {
      held.admin = fresh;
      const present = supervisor.pid();
      void supervisor.predecessor()?.exit.then(() => {
        if (held.configDir !== undefined && supervisor.pid() === present) {
          record(context, recordOf(context, present, binary, envoy.epoch + 1));
        }
        ends.changed();
      });
    },
    // Without an epoch: the shared memory of this Envoy says that a successor is starting, and Envoy accepts no other
    // then.
    failed: () => record(context, recordOf(context, envoy.pid, envoy.executable)),
  });
  void replaced.then(
    (why) => {
      if (why !== undefined) machine.notice(`Envoy was not replaced and keeps running: ${why}`);
    },
    (error: unknown) => logger.error("Envoy was not replaced", { error }),
  );
  return untilEnd(held, binary, startedAt);
}

/** What a start with these settings would use. Throws UserError for what the user can fix. */
export async function checkDataplane(settings: Settings, machine: Machine): Promise<CheckReport> {
  givenToken(settings);
  controlPlane(settings);
  const envoy = findEnvoy(settings.binaryPath, machine.place);
  try {
    return { envoy, hotRestartVersion: await hotRestartVersion(envoy) };
  } catch (error) {
    const problem = (await diagnose(envoy, diagnosisMs)) ?? messageOf(error);
    throw UserError.of("envoy.unusable", { binary: envoy, problem }, { cause: error });
  }
}

/** How this process was started. */
export interface Start {
  readonly invocation: Invocation;
  /** The config dir of a run to continue, when this process executed itself. */
  readonly handover: string | undefined;
  /** Passes the signals held so far to a handler; undefined when none were held. */
  readonly heldSignals: ((handler: OnSignal) => void) | undefined;
}

/**
 * Runs one dataplane proxy: fetches its bootstrap, starts Envoy with it and stays until Envoy ends. Envoy does not
 * replace this process, because draining, readiness, the token copy and cleanup need a process beside it. Resolves with
 * the exit code; throws UserError for what the user can fix.
 */
export async function runDataplane(
  settings: Settings,
  machine: Machine,
  logger: Logger,
  start: Start,
): Promise<number> {
  const context = { settings, machine, logger };
  const held: Held = { children: new Set() };
  const stop = new AbortController();
  const over = new AbortController();
  const reloading = createReloading({
    invocation: start.invocation,
    supervisor: () => held.supervisor,
    configDir: () => held.configDir?.path ?? "",
    logger,
    notice: machine.notice,
  });
  // Closing the terminal is a request to stop, too. The default action would end kuma-dp and leave Envoy running.
  const hangUpStops = hasTerminal();

  const onSignal: OnSignal = (signal) => {
    if (signal === "SIGHUP" && !hangUpStops) {
      logger.info("reloading", { signal });
      reloading.request();
      return;
    }
    logger.info("stopping", { signal });
    if (reloading.cancel()) return;
    if (held.supervisor === undefined) stop.abort();
    else held.supervisor.signal();
  };
  const onReopen = createReopening(async () => {
    // Before Envoy runs there are no log files to reopen.
    if (held.supervisor === undefined) return;
    held.supervisor.predecessor()?.kill("SIGUSR1");
    if (held.admin === undefined) throw new Error("Envoy has no admin interface that kuma-dp knows of");
    await held.admin.reopenLogs();
  }, logger);
  // Also runs on "exit", for every path that skips the end of this function.
  const release = () => {
    if (held.supervisor?.state().name !== "ended") for (const child of held.children) child.kill("SIGKILL");
    held.accessLogs?.abort();
    if (held.configDir !== undefined) removeSharedMemory(".");
    held.configDir?.remove();
  };
  for (const signal of controlSignals) process.on(signal, onSignal);
  start.heldSignals?.(onSignal);
  process.on("SIGUSR1", onReopen);
  process.on("exit", release);

  const inherited = start.handover === undefined ? undefined : inheritedRun(start.handover, machine.processes);
  if (start.handover !== undefined && inherited === undefined) {
    machine.notice(`there is no running Envoy in ${start.handover} to take over, so a new one is started`);
  }
  const running = () => held.supervisor !== undefined && held.supervisor.state().name !== "ended";
  const ready = async () => {
    const state = held.supervisor?.state().name;
    // During a handover the Envoy that serves has no admin interface any more.
    return state === "handing-over" || (state === "running" && (await held.admin?.live()) === true);
  };
  const health = settings.healthPort === 0 ? undefined : serveHealth(settings.healthPort, { running, ready });
  const ends = { stop: stop.signal, over: over.signal, changed: () => reloading.follow() };
  let code: number;
  try {
    if (inherited === undefined) {
      await health;
      code = await live(context, held, ends);
    } else {
      health?.catch((error: unknown) => machine.notice(messageOf(error)));
      code = await resume(context, held, ends, inherited);
    }
  } catch (error) {
    if (stop.signal.aborted && error === stop.signal.reason) return 0;
    throw error;
  } finally {
    over.abort();
    release();
    for (const signal of controlSignals) process.off(signal, onSignal);
    process.off("SIGUSR1", onReopen);
    process.off("exit", release);
    await health?.then(
      (server) => server.close(),
      () => {},
    );
  }
  const successor = reloading.successor();
  if (successor !== undefined) becomeExecutable(successor, start.invocation);
  return code;
}
