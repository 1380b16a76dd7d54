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

/** The run that this process goes on with, after it executed itself. */
export interface Inherited {
  readonly directory: string;
  readonly envoy: RecordedEnvoy & { readonly epoch: number };
  readonly baseId: number;
}

/** The run of the config dir, provided that this very process had it and that its Envoy lives; undefined otherwise. */
export function inheritedRun(directory: string, processes: ProcessTable): Inherited | undefined {
  const record = readPidRecord(directory);
  const own = processes(process.pid);
  const { kumaDp, envoy } = record ?? {};
  if (own === undefined || kumaDp?.pid !== process.pid || kumaDp.startTime !== own.startTime) return undefined;
  if (envoy?.epoch === undefined || processes(envoy.pid)?.startTime !== envoy.startTime) return undefined;
  const baseId = readBaseId(directory);
  return baseId === undefined ? undefined : { directory, envoy: { ...envoy, epoch: envoy.epoch }, baseId };
}

/** The bootstrap that the Envoy of this run was started with. */
export async function presentBootstrap(): Promise<PreparedBootstrap> {
  return prepareBootstrap(readFileSync(files.bootstrap, "utf8"));
}

/** The descriptor by which the shell between two executables kept the FIFO open (reload.ts). */
const keptDescriptor = 9;

/** Closes it, once the FIFO has a reader again. */
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
  /** Gives the control plane's bootstrap, however long that takes. */
  readonly fetch: () => Promise<string>;
  /** Told of a new Envoy as soon as it runs, and of where it is sent for its configuration. */
  readonly started: (child: Child, epoch: number, xds: XdsServer | undefined) => void;
  /** Told of the admin interface of the Envoy that serves from now on. */
  readonly serves: (admin: EnvoyAdmin | undefined) => void;
  /** Told when a new Envoy was given up: the one that runs stays, and can't hand over any more. */
  readonly failed: (child: Child) => void;
  readonly logger: Logger;
}

/** How long an Envoy whose admin interface is not known is given to take over. */
const unknownMs = 5000;

/**
 * Has a new Envoy take over from the one that runs, which goes on serving whatever fails here. It is asked for its
 * configuration only when the control plane has answered, and it takes the listeners over once it has that.
 * @returns a sentence about what failed; undefined when it took over, or when everything is about to end
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
    ? "the new Envoy ended before it served; see its words above"
    : undefined;
}
