import path from "node:path";
import { text, toggle } from "../../lib/cli.js";
import { UserError } from "../../lib/errors.js";
import { parseJsonObject } from "../../lib/json.js";
import { type Config, type Context, configLocation, loadConfig, saveConfig } from "../config-file.js";
import { command } from "../globals.js";
import { below, parseAddress, send } from "../http.js";

const probeTimeout = 5_000;

export const controlPlanesAdd = command({
  path: "config control-planes add",
  summary: "Add a Control Plane and make it active",
  examples: ["kumactl config control-planes add --name demo --address http://localhost:5681"],
  flags: {
    name: text("name", { help: "reference name for the Control Plane", required: true }),
    address: text("address", { help: "URL of the Control Plane API Server", required: true }),
    overwrite: toggle("overwrite", { help: "replace a Control Plane of the same name" }),
    clientCert: text("dataplane-token-client-cert", {
      placeholder: "FILE",
      aliases: ["admin-client-cert"],
      help: "certificate for generating dataplane tokens from another machine",
    }),
    clientKey: text("dataplane-token-client-key", {
      placeholder: "FILE",
      aliases: ["admin-client-key"],
      help: "key of that certificate",
    }),
  },
  async run({ flags, globals, io }) {
    const { name, address, clientCert, clientKey } = flags;
    if (name === "") throw UserError.of("control-plane.unnamed");
    const url = parseAddress(address);
    if (!url) throw UserError.of("control-plane.address", { address });
    if ((clientCert === undefined) !== (clientKey === undefined)) throw UserError.of("control-plane.credentials");
    await probe(url);
    const location = configLocation(globals.configFile, io.env);
    const config = await loadConfig(location);
    if (!flags.overwrite && config.controlPlanes?.some((known) => known.name === name)) {
      throw UserError.of("control-plane.exists", { name });
    }
    // The next command may run in another directory.
    const credentials = {
      ...(clientCert && { clientCert: path.resolve(clientCert) }),
      ...(clientKey && { clientKey: path.resolve(clientKey) }),
    };
    const context = { controlPlane: name, credentials: { dataplaneTokenApi: credentials }, name };
    await saveConfig(location, withControlPlane(config, context, address));
    io.stdout.write(`added Control Plane "${name}"\nswitched active Control Plane to "${name}"\n`);
  },
});

/** Checks that a control plane answers at the address. */
async function probe(url: URL): Promise<void> {
  const answer = await send({ method: "GET", url: below(url, ""), timeout: probeTimeout }).catch((error: unknown) => {
    throw UserError.of("control-plane.unreachable", { reason: error });
  });
  if (answer.status !== 200) throw UserError.of("control-plane.silent", { status: answer.status });
  if (parseJsonObject(answer.body)?.tagline !== "Kuma") {
    throw UserError.of("control-plane.foreign");
  }
}

/** Replaces the control plane of that name, or appends it, and makes its context the current one. */
function withControlPlane(config: Config, context: Context & { name: string }, url: string): Config {
  const { name } = context;
  const replace = <T extends { readonly name?: string }>(all: readonly T[] = [], one: T) =>
    all.some((known) => known.name === name) ? all.map((known) => (known.name === name ? one : known)) : [...all, one];
  return {
    ...config,
    contexts: replace(config.contexts, context),
    controlPlanes: replace(config.controlPlanes, { coordinates: { apiServer: { url } }, name }),
    currentContext: name,
  };
}
