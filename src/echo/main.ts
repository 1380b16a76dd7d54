import { command, runProgram, text } from "../lib/cli.js";

/** `2026/11/24 06:20:00`, in local time. */
function dateTime(date: Date): string {
  const two = (n: number) => String(n).padStart(2, "0");
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join("/");
  return `${day} ${[date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":")}`;
}

function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve());
  });
}

const serve = command({
  path: "",
  summary: "Sends back whatever it receives over TCP: a service for trying out a mesh",
  details:
    "An HTTP request is sent back as it came and the connection closed; any other bytes come back as they arrive.",
  examples: ["kuma-tcp-echo -port 8000"],
  flags: {
    port: text("port", {
      help: "port to listen on, on all interfaces; 0 for any free one; -port works as well",
      default: "8000",
    }),
  },
  async run({ flags, io }) {
    const { port } = await import("../lib/settings.js");
    const { startEcho } = await import("./server.js");
    const log = (line: string) => void io.stderr.write(`${dateTime(new Date())} ${line}\n`);
    const stopped = stopSignal();
    const server = await startEcho(port(flags.port, "--port"), log);
    log(`listening on port ${server.port}`);
    await stopped;
    await server.close();
  },
});

/** Kuma's documentation writes the flag with one dash, as Go programs do. */
function twoDashes(arg: string): string {
  return /^-port(=|$)/.test(arg) ? `-${arg}` : arg;
}

/** Runs kuma-tcp-echo. Resolves with the exit code. */
export function main(args: string[]): Promise<number> {
  const description = "Sends back whatever it receives over TCP";
  return runProgram({ name: "kuma-tcp-echo", description, commands: [serve] }, args.map(twoDashes));
}
