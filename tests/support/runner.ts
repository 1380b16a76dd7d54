import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { lackOfKubernetes, markUnusable, missingClusterFailsCi } from "./kubernetes-need.js";

const root = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));
/** The directory of unit/, system/ and kubernetes/; the runner's own test uses another one. */
const tests = process.env.TEST_DIRECTORY ?? path.join(root, "tests");
const usualDeadlineMs = Number(process.env.TEST_FILE_DEADLINE_MS ?? 600_000);

interface Outcome {
  file: string;
  passed: number;
  failed: number;
  skipped: number;
  /** Those of `skipped` that only lack a Kubernetes cluster. */
  skippedForKubernetes: number;
  seconds: number;
  output: string;
}

/** What a test file reports to this process at its end; a file that reports nothing has failed. */
type Report = Pick<Outcome, "passed" | "failed" | "skipped" | "skippedForKubernetes">;

function find(directory: string): string[] {
  if (!fs.existsSync(directory)) return [];
  const names = fs.readdirSync(directory, { recursive: true }) as string[];
  return names.filter((name) => name.endsWith(".test.ts")).map((name) => path.join(directory, name));
}

/** How long a file may take: the time in a first line such as `// deadline: 600 s`, or the default. */
function deadlineOf(file: string): number {
  const asked = /^\/\/ deadline: (\d+) s\n/.exec(fs.readFileSync(file, "utf8"))?.[1];
  return asked === undefined ? usualDeadlineMs : Number(asked) * 1000;
}

/** Process groups of the running files. */
const groups = new Set<number>();

function endGroup(leader: number): void {
  try {
    process.kill(-leader, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

// Separate process groups don't receive the terminal's Ctrl-C.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(signal, () => {
    for (const leader of groups) endGroup(leader);
    process.kill(process.pid, signal);
  });
}

/** Runs one file in a process group, which is killed as a whole: no process of a test may outlive it. */
function run(file: string): Promise<Outcome> {
  const start = performance.now();
  const deadlineMs = deadlineOf(file);
  const child = spawn(process.execPath, ["--import", "tsx", path.join(root, "tests", "support", "file.ts"), file], {
    cwd: root,
    detached: true,
    stdio: ["ignore", "pipe", "pipe", "ipc"],
    env: { ...process.env, KUMA_BIN: path.join(root, "dist", "bin") },
  });
  let output = "";
  let report: Report | undefined;
  let late = false;
  child.stdout?.on("data", (chunk: Buffer) => (output += chunk.toString()));
  child.stderr?.on("data", (chunk: Buffer) => (output += chunk.toString()));
  child.on("message", (message) => (report = message as Report));
  const leader = child.pid;
  if (leader === undefined) throw new Error(`${process.execPath} could not be started`);
  groups.add(leader);
  const deadline = setTimeout(() => {
    late = true;
    endGroup(leader);
  }, deadlineMs);
  return new Promise((resolve) => {
    child.on("exit", () => {
      clearTimeout(deadline);
      endGroup(leader);
      groups.delete(leader);
      // The output ends with the group's last process. A process that left the group may keep the pipe open; we don't
      // wait for it.
      setTimeout(() => {
        child.stdout?.destroy();
        child.stderr?.destroy();
      }, 2_000).unref();
    });
    child.on("close", (code, signal) => {
      const seconds = (performance.now() - start) / 1000;
      const died = report === undefined || (code !== 0 && report.failed === 0);
      if (late) output += `\nended after its deadline of ${deadlineMs / 1000} s\n`;
      else if (died) output += `\nended without a result (exit code ${code}, signal ${signal})\n`;
      const counts = report ?? { passed: 0, failed: 0, skipped: 0, skippedForKubernetes: 0 };
      resolve({ ...counts, file, failed: counts.failed + (died ? 1 : 0), seconds, output });
    });
  });
}

function print({ file, passed, failed, skipped, seconds, output }: Outcome): void {
  const counts = `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
  console.log(`${failed > 0 ? "FAIL" : "ok  "}  ${path.relative(root, file)}  ${counts}  ${seconds.toFixed(1)} s`);
  if (failed > 0 || skipped > 0) console.log(output.trim().replaceAll(/^/gm, "      "));
}

async function runAll(files: readonly string[], atOnce: number): Promise<Outcome[]> {
  const queue = [...files];
  const outcomes: Outcome[] = [];
  async function worker(): Promise<void> {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const outcome = await run(file);
      print(outcome);
      outcomes.push(outcome);
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker));
  return outcomes;
}

/** The duration of the scripts before this one in seconds, such as `{"install": 21.5, "check": 9.1}`. */
function partsBefore(): [part: string, seconds: number][] {
  const parsed: unknown = JSON.parse(process.env.TEST_PART_SECONDS ?? "{}");
  return Object.entries(parsed as Record<string, number>);
}

const slowestShown = 10;

/** The time spent: one line per part, then the slowest files. */
function printTimes(parts: readonly (readonly [part: string, seconds: number])[], all: readonly Outcome[]): void {
  const total = parts.reduce((sum, [, seconds]) => sum + seconds, 0);
  const line = (name: string, seconds: number) => console.log(`${seconds.toFixed(1).padStart(8)} s  ${name}`);
  console.log("\nTime by part");
  for (const [part, seconds] of parts) line(part, seconds);
  line("total", total);
  console.log("Slowest files");
  const slowest = [...all].sort((a, b) => b.seconds - a.seconds).slice(0, slowestShown);
  for (const { file, seconds } of slowest) line(path.relative(root, file), seconds);
}

/** Selects by a part of the path, or by a regular expression. */
function selects(pattern: string): (file: string) => boolean {
  try {
    const expression = new RegExp(pattern);
    return (file) => file.includes(pattern) || expression.test(file);
  } catch {
    return (file) => file.includes(pattern);
  }
}

/** A file of tests/kubernetes that says so in one of its first lines is too slow for every `npm test`. */
const onlyOnDemand = (file: string) => /^\/\/ only in npm run test:kubernetes$/m.test(fs.readFileSync(file, "utf8"));

/**
 * Finds out whether this machine can run a Kubernetes cluster at all, while CI may lack one. Elsewhere a cluster that
 * doesn't start is a failure of the tests on it.
 */
async function tryCluster(): Promise<void> {
  if (process.env.CI !== "true" || missingClusterFailsCi || lackOfKubernetes() !== undefined) return;
  const start = performance.now();
  try {
    const { startNode } = await import("../kubernetes/node.js");
    const node = await startNode();
    console.log(`A Kubernetes cluster was ready here after ${((performance.now() - start) / 1000).toFixed(1)} s`);
    await node.stop();
  } catch (error) {
    markUnusable(`a Kubernetes cluster can't be started on this machine: ${(error as Error).message}`);
  }
}

const words = process.argv.slice(2);
const onKubernetes = words.includes("--kubernetes");
const pattern = words.find((word) => word !== "--kubernetes");
const selected = pattern === undefined ? () => true : selects(pattern);
const files = (kind: string) =>
  find(path.join(tests, kind))
    .filter((file) => selected(path.relative(root, file)))
    .filter((file) => onKubernetes || pattern !== undefined || kind !== "kubernetes" || !onlyOnDemand(file))
    .sort();
const outcomes: Outcome[] = [];
const parts = partsBefore();
for (const [kind, atOnce] of [
  ["unit", 3],
  ["system", 2],
  ["kubernetes", 2],
] as const) {
  if (onKubernetes && kind !== "kubernetes") continue;
  const start = performance.now();
  const chosen = files(kind);
  if (kind === "kubernetes" && chosen.length > 0) await tryCluster();
  outcomes.push(...(await runAll(chosen, atOnce)));
  parts.push([kind, (performance.now() - start) / 1000]);
}
const sum = (of: (outcome: Outcome) => number) => outcomes.reduce((total, outcome) => total + of(outcome), 0);
const passed = sum((outcome) => outcome.passed);
const skipped = sum((outcome) => outcome.skipped);
const skippedForKubernetes = sum((outcome) => outcome.skippedForKubernetes);
let failed = sum((outcome) => outcome.failed);
if (outcomes.length === 0) {
  console.error(pattern === undefined ? "there is no test" : `no test file matches ${pattern}`);
  failed = 1;
}
if (outcomes.length > 0) printTimes(parts, outcomes);
if (skippedForKubernetes > 0) {
  const files = outcomes.filter((outcome) => outcome.skippedForKubernetes > 0).length;
  console.error(`\n${skippedForKubernetes} tests of ${files} files were skipped for want of a Kubernetes cluster:`);
  console.error(lackOfKubernetes());
}
const fatal = skipped - (missingClusterFailsCi ? 0 : skippedForKubernetes);
const skippedInCi = process.env.CI === "true" && fatal > 0;
if (skippedInCi) console.error("\ntests were skipped, which is a failure with CI=true");
for (const { file } of outcomes.filter((outcome) => outcome.failed > 0)) {
  console.log(`failed: ${path.relative(root, file)}`);
}
console.log(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
process.exitCode = failed > 0 || skippedInCi ? 1 : 0;
