import { commandsWith, text } from "../lib/cli.js";

/** The flags of every kumactl command. */
export const globalFlags = {
  configFile: text("config-file", { help: "path to the configuration file to use (default ~/.kumactl/config)" }),
  mesh: text("mesh", { help: "mesh to use", default: "default" }),
};

export const command = commandsWith<typeof globalFlags>();
