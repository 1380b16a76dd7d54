import { choose, programList, type Word } from "./lib/programs.js";
import { versionText, wantsDetails } from "./lib/version.js";

interface Loaded {
  main(args: string[]): Promise<number>;
}

/** Only the chosen program's module is ever evaluated: this is what keeps `kumactl version` at the runtime's own start-up time. */
const load: Readonly<Record<Word, () => Promise<Loaded>>> = {
  cp: () => import("./cp/main.js"),
  dp: () => import("./dp/main.js"),
  ctl: () => import("./ctl/main.js"),
  injector: () => import("./injector/main.js"),
  echo: () => import("./echo/main.js"),
  init: () => import("./redirect/main.js"),
};

/** Answers `version` for every program alike, before any of them is loaded; false when something else was asked. */
function printVersion([word, ...rest]: readonly string[]): boolean {
  const details = word === "version" ? wantsDetails(rest) : undefined;
  if (details === undefined) return false;
  process.stdout.write(`${versionText(details)}\n`);
  return true;
}

async function start(): Promise<number> {
  const args = process.argv.slice(2);
  const choice = choose(process.argv0, args);
  switch (choice.kind) {
    case "program":
      return printVersion(choice.args) ? 0 : (await load[choice.program.word]()).main([...choice.args]);
    case "help":
      process.stdout.write(programList());
      return 0;
    case "none":
      process.stderr.write(programList());
      return 1;
    case "unknown":
      if (printVersion(args)) return 0;
      process.stderr.write(`Error: unknown program "${choice.word}"\n\n${programList()}`);
      return 1;
  }
}

// By SIGUSR1 log rotation asks for log files to be reopened. Programs that have some listen to it as well; in all
// others it must neither end the process nor open Node's debugger, which it does without a listener.
process.on("SIGUSR1", () => {});

// A reader that has seen enough (`kumactl ... | head`) is not an error of ours.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
}

// The exit code is only set, and the loop drains by itself: process.exit would cut output that is still in a pipe.
start().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.stderr.write(`Internal error, please report it: ${error instanceof Error ? error.stack : String(error)}\n`);
    process.exitCode = 1;
  },
);
