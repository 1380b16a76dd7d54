import { configLocation, loadConfig } from "../config-file.js";
import { command } from "../globals.js";
import { renderTable } from "../table.js";

export const controlPlanesList = command({
  path: "config control-planes list",
  summary: "List Control Planes",
  async run({ globals, io }) {
    const {
      contexts = [],
      controlPlanes = [],
      currentContext,
    } = await loadConfig(configLocation(globals.configFile, io.env));
    const active = contexts.find(({ name }) => name === currentContext)?.controlPlane;
    const rows = controlPlanes.map(({ name = "", coordinates }) => {
      return [name === active ? "*" : "", name, coordinates?.apiServer?.url ?? ""];
    });
    io.stdout.write(renderTable(["ACTIVE", "NAME", "ADDRESS"], rows));
  },
});
