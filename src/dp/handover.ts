import { closeSync, fstatSync, lstatSync, readFileSync, renameSync } from "node:fs";
import { messageOf } from "../lib/errors.js";
import type { Logger } from "../lib/logger.js";
import { type PreparedBootstrap, prepareBootstrap } from "./bootstrap-document.js";
import { type ConfigDir, files } from "./config-dir.js";
import { type EnvoyAdmin, envoyAdmin } from "./envoy-admin.js";
import { type EnvoyStart, startEnvoy } from "./envoy-process.js";
import { readBaseId, validateBootstrap } from "./hot-restart.js";
import { type RecordedEnvoy, readPidRecord } from "./orphan.js";
import type { ProcessTable } from "./process-facts.js";
import type { Child, Supervisor } from "./supervisor.js";
import type { XdsServer } from "./xds-server.js";

/** The run that this process continues after it executed itself. */
export interface Inherited {
  readonly directory: string;
  readonly envoy: RecordedEnvoy & { readonly epoch: number };
  readonly baseId: number;
}

/** The run in the config dir if it belongs to this very process and its Envoy is alive; undefined otherwise. */
export function inheritedRun(directory: string, processes: ProcessTable): Inherited | undefined {
  const record = readPidRecord(directory);
  const own = processes(process.pid);
  const { kumaDp, envoy } = record ?? {};
  if (own === undefined || kumaDp?.pid !== process.pid || kumaDp.startTime !== own.startTime) return undefined;
  if (envoy?.epoch === undefined || processes(envoy.pid)?.startTime !== envoy.startTime) return undefined;
  const baseId = readBaseId(directory);
  return baseId === undefined ? undefined : { directory, envoy: { ...envoy, epoch: envoy.epoch }, baseId };
}

/** The bootstrap that this run's Envoy was started with. */
export async function presentBootstrap(): Promise<PreparedBootstrap> {
  return prepareBootstrap(readFileSync(files.bootstrap, "utf8"));
}

/** The file descriptor with which the shell between two executables kept the FIFO open (reload.ts). */
const keptDescriptor = 9;

/** Closes that descriptor. Call it once the FIFO has a reader again. */
export function closeKeptFifo(): void {
  try {
    const [kept, fifo] = [fstatSync(keptDescriptor), lstatSync(files.accessLogs)];
    if (kept.isFIFO() && kept.ino === fifo.ino && kept.dev === fifo.dev) closeSync(keptDescriptor);
  } catch {
    // There was no shell, or it could not open the FIFO.
  }
}

export interface Replacement extends Omit<EnvoyStart, "bootstrapFile" | "generation"> {
  readonly inherited: Inherited;
  readonly configDir: ConfigDir;
  readonly supervisor: Supervisor;
  /** Fetches the control plane's bootstrap, however long that takes. */
  readonly fetch: () => Promise<string>;
  /** Called as soon as a new Envoy runs, with its xDS server. */
  readonly started: (child: Child, epoch: number, xds: XdsServer | undefined) => void;
  /** Called with the admin interface of the new Envoy once it serves. */
  readonly serves: (admin: EnvoyAdmin | undefined) => void;
  /** Called when a new Envoy failed: the running one stays and can no longer hand over. */
  readonly failed: (child: Child) => void;
  readonly logger: Logger;
}

/** How long a new Envoy with an unknown admin interface gets to take over. */
const unknownMs = 5000;

/**
 * Starts a new Envoy that takes over from the running one, which keeps serving whatever fails here. The new Envoy is
 * started only after the control plane has sent its bootstrap, and it takes over the listeners once it has its
 * configuration.
 * @returns a sentence about what failed; undefined when the new Envoy took over or when the run is ending
 */
export async function replaceEnvoy(replacement: Replacement): Promise<string | undefined> {
  const { inherited, configDir, supervisor, fetch, started, serves, failed, logger, ...start } = replacement;
  const running = () => supervisor.state().name === "running";
  let child: Child;
  let admin: EnvoyAdmin | undefined;
  let xds: XdsServer | undefined;
  const epoch = inherited.envoy.epoch + 1;
  try {
    const bootstrap = await prepareBootstrap(await fetch());
    if (!running()) return undefined;
    configDir.write(files.nextBootstrap, bootstrap.yaml);
    await validateBootstrap(start.binary, files.nextBootstrap);
    if (!running()) return undefined;
    renameSync(files.nextBootstrap, files.bootstrap);
    const generation = { epoch, baseId: inherited.baseId };
    child = await startEnvoy({ ...start, bootstrapFile: files.bootstrap, generation });
    admin = bootstrap.admin && envoyAdmin(bootstrap.admin);
    ({ xds } = bootstrap);
  } catch (error) {
    return running() ? messageOf(error) : undefined;
  }
  started(child, epoch, xds);
  if (!running()) {
    child.kill("SIGKILL");
    return undefined;
  }
  const startedAt = Date.now();
  const answers = async () =>
    admin === undefined ? Date.now() - startedAt >= unknownMs : (await admin.epoch()) === epoch;
  if (await supervisor.replace({ child, admin }, answers)) {
    serves(admin);
    logger.info("Envoy was replaced", { pid: child.pid, binary: start.binary, epoch });
    return undefined;
  }
  failed(child);
  return supervisor.state().name === "running"
    ? "the new Envoy exited before it was ready; see its output above"
    : undefined;
}
