// The import arrows of the architecture: who may know whom. A new arrow is a design decision.
import fs from "node:fs";
import path from "node:path";

/** Rooms from the top down; a room may import rooms below it, and never a neighbour on its own floor. */
const floors = [
  ["main.ts"],
  ["cp", "dp", "ctl", "injector", "echo"],
  ["kubernetes", "redirect", "xds", "identity"],
  ["envoy"],
  ["policy"],
  ["view"],
  ["store"],
  ["resources"],
  ["net"],
  ["lib"],
];

/** Only programs and stores build stores; everyone else knows their types. */
const typesOnly = new Set(["store"]);
const mayBuildStores = new Set(["cp", "store"]);

/** Rooms whose output follows from their input alone, so that every instance computes the same. */
const pure = new Set(["resources", "policy", "view", "envoy"]);
const impureModules = /^node:(fs|net|http|https|http2|os|child_process|timers|process|dns|tls|worker_threads)/;
const impureWords =
  /\b(Date\.now\(|new Date\(\)|Math\.random\(|process\.\w|setTimeout\(|setInterval\(|performance\.now\()/;

const floorOf = new Map(floors.flatMap((rooms, index) => rooms.map((room) => [room, index])));

function roomOf(source, file) {
  return path.relative(source, file).split(path.sep)[0];
}

/** Every broken rule below `source`, one line each, as `file: reason`. */
export function violations(source) {
  const found = [];
  const files = fs.readdirSync(source, { recursive: true }).filter((name) => name.endsWith(".ts"));
  for (const name of files.sort()) {
    const file = path.join(source, name);
    const text = fs.readFileSync(file, "utf8");
    const room = roomOf(source, file);
    const say = (reason) => found.push(`src/${name}: ${reason}`);
    if (!floorOf.has(room)) say(`${room} is not a room of the architecture`);
    if (pure.has(room) && impureWords.test(text))
      say(`${room} is pure: ${impureWords.exec(text)[0]} does not belong here`);
    for (const [statement, kind, , target] of text.matchAll(/^(import|export)( type)?[^;]*?from "([^"]+)";/gm)) {
      if (pure.has(room) && impureModules.test(target)) say(`${room} is pure and may not import ${target}`);
      if (!target.startsWith(".")) continue;
      const other = roomOf(source, path.resolve(path.dirname(file), target));
      if (other === room || other === "..") continue;
      const [from, to] = [floorOf.get(room), floorOf.get(other)];
      if (from === undefined || to === undefined) continue;
      if (to <= from) say(`${room} may not import ${other}`);
      const onlyTypes = kind === "import" && /^import type /.test(statement);
      if (typesOnly.has(other) && !mayBuildStores.has(room) && !onlyTypes)
        say(`${room} may import only types of ${other}`);
    }
  }
  return found;
}
