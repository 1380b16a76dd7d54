import { configLocation, loadConfig, renderConfig } from "../config-file.js";
import { command } from "../globals.js";

export const configView = command({
  path: "config view",
  summary: "Show kumactl config",
  async run({ globals, io }) {
    io.stdout.write(`${await renderConfig(await loadConfig(configLocation(globals.configFile, io.env)))}\n`);
  },
});
