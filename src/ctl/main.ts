import { runProgram } from "../lib/cli.js";
import { registry } from "../resources/registry.js";
import { kumactl } from "./program.js";

export function main(args: string[]): Promise<number> {
  return runProgram(kumactl(registry), args);
}
