import path from "node:path";

/** Short names of the programs: `kuma cp run` and `kuma-cp run` are the same. */
export type Word = "cp" | "dp" | "ctl" | "injector" | "echo" | "init";

interface Program {
  readonly word: Word;
  readonly name: string;
  readonly purpose: string;
}

export const programs: readonly Program[] = [
  { word: "cp", name: "kuma-cp", purpose: "the control plane" },
  { word: "dp", name: "kuma-dp", purpose: "a service's data plane proxy: runs Envoy" },
  { word: "ctl", name: "kumactl", purpose: "the command line to the control plane" },
  { word: "injector", name: "kuma-injector", purpose: "adds kuma-dp to Kubernetes pods" },
  { word: "echo", name: "kuma-tcp-echo", purpose: "a small TCP service to try a mesh with" },
  { word: "init", name: "kuma-init", purpose: "redirects a pod's traffic to its kuma-dp" },
];

type Choice =
  | { readonly kind: "program"; readonly program: Program; readonly args: readonly string[] }
  | { readonly kind: "help" }
  | { readonly kind: "none" }
  | { readonly kind: "unknown"; readonly word: string };

function find(name: string): Program | undefined {
  return programs.find((program) => program.name === name || program.word === name);
}

/**
 * Chooses the program to run. The name of the executable decides (a symlink is enough); under any other name, such as
 * `kuma` or the `node` of a development run, the first word does.
 */
export function choose(argv0: string, args: readonly string[]): Choice {
  const name = path.basename(argv0);
  const named = programs.find((program) => program.name === name);
  if (named) return { kind: "program", program: named, args };
  const [word, ...rest] = args;
  if (word === undefined) return { kind: "none" };
  if (word === "-h" || word === "--help" || word === "help") return { kind: "help" };
  const program = find(word);
  return program ? { kind: "program", program, args: rest } : { kind: "unknown", word };
}

/** The list of programs that `kuma` prints. */
export function programList(): string {
  const rows = programs.map(({ word, name, purpose }) => `  ${name.padEnd(14)} ${word.padEnd(9)} ${purpose}`);
  return [
    "Usage: kuma PROGRAM [ARGUMENT...]",
    "",
    "Programs, by the name of a symlink to this executable or by first word:",
    ...rows,
    "",
    "Every program has -h and version.",
    "",
  ].join("\n");
}
