import { randomBytes } from "node:crypto";
import { chmod, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";
import type { Io } from "../lib/cli.js";
import { messageOf, UserError } from "../lib/errors.js";
import { anyObject } from "../resources/any-object.js";
import { text } from "../resources/scalars.js";
import { decode, type Infer, list, object } from "../resources/schema.js";
import { parseAddress } from "./http.js";
import { toYaml } from "./yaml.js";

const credentialsSchema = object({ clientCert: text(), clientKey: text() });

const configSchema = object({
  contexts: list(
    object({
      name: text(),
      controlPlane: text(),
      defaults: anyObject(),
      // Newer releases of Kuma write adminApi.
      credentials: object({ dataplaneTokenApi: credentialsSchema, adminApi: credentialsSchema }),
    }),
  ),
  controlPlanes: list(object({ name: text(), coordinates: object({ apiServer: object({ url: text() }) }) })),
  currentContext: text(),
});

/** The content of the file: control planes, contexts (a control plane and how to use it), and the current context. */
export type Config = Infer<typeof configSchema>;
export type Context = NonNullable<Config["contexts"]>[number];

const firstConfig: Config = {
  contexts: [{ controlPlane: "local", name: "local" }],
  controlPlanes: [{ coordinates: { apiServer: { url: "http://localhost:5681" } }, name: "local" }],
  currentContext: "local",
};

/** The path of the configuration file, and whether the user named it. */
export interface Location {
  readonly path: string;
  readonly named: boolean;
}

export function configLocation(named: string | undefined, env: Io["env"]): Location {
  if (named !== undefined && named !== "") return { path: named, named: true };
  return { path: path.join(env.HOME || homedir(), ".kumactl", "config"), named: false };
}

function validate(config: Config): string | undefined {
  for (const [index, { name, coordinates }] of (config.controlPlanes ?? []).entries()) {
    if (name === undefined) return `controlPlanes[${index}].name cannot be empty`;
    const url = coordinates?.apiServer?.url;
    if (url === undefined || !parseAddress(url)) {
      return `controlPlanes[${index}].coordinates.apiServer.url has to be a URL such as http://localhost:5681`;
    }
  }
  const nameless = (config.contexts ?? []).findIndex(({ name }) => name === undefined);
  return nameless < 0 ? undefined : `contexts[${nameless}].name cannot be empty`;
}

/** Renames `adminApi`, which is read but never written. */
function withOneName(context: Context): Context {
  const { adminApi, ...credentials } = context.credentials ?? {};
  return adminApi === undefined
    ? context
    : { ...context, credentials: { dataplaneTokenApi: adminApi, ...credentials } };
}

/**
 * Reads the configuration. On first use the default one is written, if possible: a container without a writable home
 * uses it without a file. Throws UserErrors that name the file.
 */
export async function loadConfig({ path: file, named }: Location): Promise<Config> {
  let content: string;
  try {
    content = await readFile(file, "utf8");
  } catch (error) {
    const missing = error instanceof Error && "code" in error && error.code === "ENOENT";
    if (missing && !named) {
      await saveConfig({ path: file, named }, firstConfig).catch((reason: unknown) => {
        if (!(reason instanceof UserError)) throw reason;
      });
      return firstConfig;
    }
    const reason = missing ? "it does not exist" : messageOf(error);
    throw UserError.of("config-file.unreadable", { file, reason });
  }
  const { load } = await import("js-yaml");
  let config: Config;
  try {
    const document = content.trim() === "" ? {} : load(content);
    const { value } = decode(configSchema, document ?? {}, "lenient");
    config = value;
  } catch (error) {
    throw UserError.of("config-file.unparsable", { file, reason: error });
  }
  const problem = validate(config);
  if (problem !== undefined) throw UserError.of("config-file.invalid", { file, problem });
  return config.contexts === undefined ? config : { ...config, contexts: config.contexts.map(withOneName) };
}

export function renderConfig(config: Config): Promise<string> {
  return toYaml(config, { sortKeys: true });
}

/** Atomically replaces the file: a concurrent reader sees either the old or the new content. */
export async function saveConfig({ path: file }: Location, config: Config): Promise<void> {
  // Random, because in a directory that others can write to, a predictable name could be a link to one of our files.
  const beside = `${file}.${randomBytes(9).toString("base64url")}.tmp`;
  try {
    await mkdir(path.dirname(file), { recursive: true, mode: 0o755 });
    await writeFile(beside, await renderConfig(config), { mode: 0o600, flag: "wx" });
    // In case the umask removed permissions.
    await chmod(beside, 0o600);
    await rename(beside, file);
  } catch (error) {
    await rm(beside, { force: true });
    throw UserError.of("config-file.unwritable", { file, reason: error });
  }
}

const addHint = "Use `kumactl config control-planes add` to add a Control Plane and make it active";

function noneActive(): UserError {
  return UserError.of("config.inactive", { hint: addHint });
}

export { addHint };

/** The current context and its control plane. */
export function activeControlPlane(config: Config): { readonly context: Context; readonly address: URL } {
  if (config.currentContext === undefined) throw noneActive();
  const context = config.contexts?.find(({ name }) => name === config.currentContext);
  const controlPlane = config.controlPlanes?.find(({ name }) => name === context?.controlPlane);
  const address = parseAddress(controlPlane?.coordinates?.apiServer?.url ?? "");
  if (context && address) return { context, address };
  throw UserError.of("config.broken", { context: config.currentContext, hint: addHint });
}
