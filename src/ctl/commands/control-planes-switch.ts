import { text } from "../../lib/cli.js";
import { configLocation, loadConfig, saveConfig } from "../config-file.js";
import { command } from "../globals.js";
import { unknownControlPlane } from "./control-planes-remove.js";

export const controlPlanesSwitch = command({
  path: "config control-planes switch",
  summary: "Switch active Control Plane",
  flags: { name: text("name", { help: "reference name for the Control Plane", required: true }) },
  async run({ flags: { name }, globals, io }) {
    const location = configLocation(globals.configFile, io.env);
    const config = await loadConfig(location);
    if (!config.controlPlanes?.some((known) => known.name === name)) throw unknownControlPlane(name);
    const contexts = config.contexts ?? [];
    const known = contexts.find((context) => context.controlPlane === name);
    // A control plane that was added to the file by hand may not have a context.
    const context = known ?? { controlPlane: name, name };
    await saveConfig(location, {
      ...config,
      contexts: known ? contexts : [...contexts, context],
      currentContext: context.name ?? name,
    });
    io.stdout.write(`switched active Control Plane to "${name}"\n`);
  },
});
