import { parentPort } from "node:worker_threads";
import { versionsOf } from "./random-versions.js";

parentPort?.on("message", (seeds: readonly number[]) => parentPort?.postMessage(seeds.map(versionsOf)));
