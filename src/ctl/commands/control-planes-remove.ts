import { text } from "../../lib/cli.js";
import { UserError } from "../../lib/errors.js";
import { addHint, configLocation, loadConfig, saveConfig } from "../config-file.js";
import { command } from "../globals.js";

export const controlPlanesRemove = command({
  path: "config control-planes remove",
  summary: "Remove a Control Plane",
  flags: { name: text("name", { help: "reference name for the Control Plane", required: true }) },
  async run({ flags: { name }, globals, io }) {
    const location = configLocation(globals.configFile, io.env);
    const { currentContext, ...config } = await loadConfig(location);
    if (!config.controlPlanes?.some((known) => known.name === name)) throw unknownControlPlane(name);
    const contexts = (config.contexts ?? []).filter(({ controlPlane }) => controlPlane !== name);
    const controlPlanes = config.controlPlanes.filter((known) => known.name !== name);
    const kept = contexts.find((context) => context.name === currentContext);
    const active = kept ?? contexts[0];
    await saveConfig(location, {
      ...config,
      contexts,
      controlPlanes,
      ...(active?.name === undefined ? {} : { currentContext: active.name }),
    });
    io.stdout.write(`removed Control Plane "${name}"\n`);
    if (kept) return;
    io.stdout.write(
      active
        ? `switched active Control Plane to "${active.controlPlane}"\n`
        : `there is no active Control Plane left. ${addHint}\n`,
    );
  },
});

export function unknownControlPlane(name: string): UserError {
  return UserError.of("control-plane.unknown", { name });
}
