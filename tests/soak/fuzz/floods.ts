import type { Random } from "../form/soak.js";
import { type Attack, type Flood, floodLimits } from "./attack.js";
import { callAttacks } from "./call-attacks.js";
import { frameAttacks } from "./frame-attacks.js";
import { httpAttacks } from "./http-attacks.js";

const families: readonly (readonly ((random: Random) => Attack)[])[] = [frameAttacks, callAttacks, httpAttacks];

const connectionsOf = (attack: Attack) => (attack.kind === "raw" ? attack.connections : attack.sessions);

/** One to three attacks that are sent at the same time. */
export function randomFlood(random: Random, seconds: number): Flood {
  const attacks: Attack[] = [];
  let room = floodLimits.connections;
  for (let count = random.pick([1, 1, 2, 3]); count > 0; count--) {
    const attack = random.pick(random.pick(families))(random);
    if (connectionsOf(attack) > room) continue;
    room -= connectionsOf(attack);
    attacks.push(attack);
  }
  return { attacks, seconds };
}
