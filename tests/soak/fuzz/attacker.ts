// The clients of a flood, in a process of their own: what they cost must not slow the honest clients that are measured.
import type { Flood } from "./attack.js";
import { createBattle, type Ports } from "./battle.js";
import { playCalls } from "./call-client.js";
import { playRaw } from "./raw-client.js";

export interface Order {
  readonly flood: Flood;
  readonly ports: Ports;
}

process.on("message", (order: Order) => {
  const battle = createBattle(order.ports, order.flood.seconds);
  const played = order.flood.attacks.map((attack) =>
    attack.kind === "raw" ? playRaw(attack, battle) : playCalls(attack, battle),
  );
  Promise.all(played).then(() => process.send?.(battle.figures));
});
process.on("disconnect", () => process.exit(0));
