// The import arrows of the architecture: which room may import which. A new arrow is a design decision.
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

/** Rooms from the top down: a room may import what stands below it. ARCHITECTURE.md has the same table. */
export const floors = [
  ["main.ts"],
  ["cp", "dp", "ctl", "injector", "echo"],
  ["kubernetes", "redirect", "xds", "identity"],
  ["feed"],
  ["envoy"],
  ["policy"],
  ["view"],
  ["store"],
  ["resources"],
  ["kubeapi"],
  ["net"],
  ["lib"],
];
const floorOf = new Map(floors.flatMap((rooms, floor) => rooms.map((room) => [room, floor])));
const below = (from, to) => floorOf.get(to) > floorOf.get(from);

const programs = new Set(floors[1]);
/** Rooms without I/O, clock, randomness and environment. */
export const pure = new Set(["resources", "policy", "view", "envoy"]);
const rightOfTheStore = new Set(["view", "policy", "envoy", "feed", "xds"]);

/** Forbidden imports between two rooms, each with its reason. The first rule that applies wins. */
const roomRules = [
  {
    broken: ({ from, to }) => programs.has(from) && programs.has(to),
    why: "programs never import each other: what two of them need belongs in a room below",
  },
  {
    broken: ({ from, to }) => pure.has(from) && (to === "net" || to === "kubeapi"),
    why: "a pure room has no network",
  },
  {
    broken: ({ from, to }) => !below(from, to),
    why: "arrows point down: what is below does not know what is above, nor its neighbour",
  },
  {
    broken: ({ from, to, typesOnly }) => to === "store" && rightOfTheStore.has(from) && !typesOnly,
    why: 'nothing right of the store reads it: the view does that for all, and "import type" is enough',
  },
  {
    broken: ({ from, to, lazy }) => from === "main.ts" && to !== "lib" && !lazy,
    why: "the door loads one program only: by import()",
  },
];

/**
 * Whether a file of one room may import a file of another, both of `floors` and different.
 * @param how `typesOnly`: by `import type`; `lazy`: by `import()`
 */
export function mayImport(from, to, how) {
  return brokenRule(roomRules, { from, to, ...how }) === undefined;
}

/**
 * Which modules from outside the tree a room may not import. Pure rooms: every instance computes the same from the same
 * input.
 */
const moduleRules = [
  {
    broken: ({ from, target }) => pure.has(from) && target.startsWith("node:"),
    why: "a pure room has no machine under it; what is pure of a node module belongs in lib",
  },
  {
    broken: ({ from, target }) => pure.has(from) && /^(@grpc\/|postgres$)/.test(target),
    why: "a pure room talks to nobody",
  },
  {
    broken: ({ from, target }) => from !== "kubeapi" && target.startsWith("@kubernetes/"),
    why: "the Kubernetes API has one client, in kubeapi",
  },
];

/** Globals that would make a pure room depend on time, randomness, the environment or I/O. */
const impure = [
  ...["Date.now", "Math.random", "process", "performance", "crypto", "fetch", "console"],
  ...["setTimeout", "setInterval", "setImmediate", "queueMicrotask"],
];

/** Every import of a file: its target, and whether it is type-only or an import() call. */
function importsOf(text) {
  const statements = /^[ \t]*(?:(?:import|export)\b[^"';(]*?\bfrom|import)\s*"([^"]+)"/gm;
  const found = [...text.matchAll(statements)].map(([statement, target]) => {
    const typesOnly = /^\s*(import|export) type\b/.test(statement);
    return { target, typesOnly, lazy: false };
  });
  const code = text.replace(/^\s*(\/\/|\/?\*).*$/gm, "");
  for (const [, target] of code.matchAll(/\bimport\(\s*"([^"]+)"\s*\)/g)) {
    found.push({ target, typesOnly: false, lazy: true });
  }
  return found;
}

/** The impure globals that a file's code uses. esbuild distinguishes them from text, comments and types. */
async function impureUses(text) {
  const { transform } = await import("esbuild");
  const mark = (name) => `impure_${name.replace(".", "_dot_")}`;
  const define = Object.fromEntries([...impure, "Date"].map((name) => [name, mark(name)]));
  const { code } = await transform(text, { loader: "ts", define });
  const uses = impure.filter((name) => new RegExp(`\\b${mark(name)}\\b`).test(code));
  // A date made from a value is deterministic; one made without arguments reads the clock.
  if (new RegExp(`\\b${mark("Date")}\\(\\)`).test(code)) uses.push("new Date()");
  return uses;
}

function roomOf(source, file) {
  const [first] = path.relative(source, file).split(path.sep);
  return first === ".." ? undefined : first;
}

function brokenRule(rules, facts) {
  return rules.find(({ broken }) => broken(facts))?.why;
}

/** Every violation below the directory `source`, one per line, as `file: what: why`. */
export async function violations(source) {
  const found = [];
  const names = fs.readdirSync(source, { recursive: true }).filter((name) => name.endsWith(".ts"));
  for (const name of names.sort()) {
    const file = path.join(source, name);
    const text = fs.readFileSync(file, "utf8");
    const from = roomOf(source, file);
    const say = (what, why) => found.push(`src/${name}: ${what}: ${why}`);
    if (!floorOf.has(from)) {
      say(`${from} is not a room of the architecture`, "a new room has a floor in scripts/arrows.mjs");
      continue;
    }
    if (pure.has(from)) {
      for (const use of await impureUses(text))
        say(`${from} may not use ${use}`, "a pure room's output follows from its input");
    }
    for (const { target, ...facts } of importsOf(text)) {
      if (!target.startsWith(".")) {
        const why = brokenRule(moduleRules, { from, target, ...facts });
        if (why !== undefined) say(`${from} may not import ${target}`, why);
        continue;
      }
      const to = roomOf(source, path.resolve(path.dirname(file), target));
      // Files outside src are generated code; tsc reports rooms that do not exist.
      if (to === from || !floorOf.has(to)) continue;
      const why = brokenRule(roomRules, { from, to, ...facts });
      if (why !== undefined) say(`${from} may not import ${to}`, why);
    }
  }
  return found;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const found = await violations(path.join(path.dirname(path.dirname(process.argv[1])), "src"));
  for (const line of found) console.error(line);
  process.exitCode = found.length > 0 ? 1 : 0;
}
