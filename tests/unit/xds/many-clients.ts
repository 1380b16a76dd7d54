import type { ProxyConfig } from "../../../src/envoy/resource.js";
import type { Session } from "../../../src/xds/configuration/session.js";
import { type Random, runSeed, seeded } from "../../support/random.js";
import { type DataplaneSketch, generated, viewOf } from "./meshes.js";

interface Client {
  readonly session: Session;
  connect(config: ProxyConfig | undefined): void;
  configure(config: ProxyConfig): void;
  handle(refuse?: () => boolean): boolean;
}

/** Lets a client handle responses until none is left. */
export function drain<R>(client: { handle(refuse?: R): boolean }, refuse?: R): void {
  for (let steps = 0; client.handle(refuse); steps++) {
    if (steps > 10_000) throw new Error("the session never comes to rest");
  }
}

interface Drive<C> {
  readonly createClient: () => C;
  readonly rounds: number;
  /** Something else that a client sometimes does. */
  readonly act?: (client: C, service: string) => void;
  /** Checks a client after each round. */
  readonly afterRound?: (client: C, config: ProxyConfig) => void;
  /** Checks each client at the end, when it has handled all responses. */
  readonly atRest: (client: C, config: ProxyConfig, message: string) => void;
}

const services = ["a", "b", "c", "d", "e", "f"];

function sketch(index: number, random: Random): DataplaneSketch {
  const used = services.filter(() => random.chance(0.5));
  return {
    name: `dp-${index}`,
    inbound: [
      { interface: `10.0.0.${index + 1}:${8000 + random.below(3)}:80`, tags: { service: random.pick(services) } },
    ],
    outbound: used.map((service) => ({ interface: `:${10_000 + services.indexOf(service)}`, service })),
  };
}

/**
 * Drives 50 clients at random: their configurations change, they reject, accept, reconnect, and wait for a Dataplane.
 */
export function driveClients<C extends Client>({ createClient, rounds, act, afterRound, atRest }: Drive<C>): void {
  const random = seeded(runSeed);
  const sketches = Array.from({ length: 50 }, (_, index) => sketch(index, random));
  const clients = sketches.map(createClient);
  let connectTimeoutMs = 5000;
  let view = viewOf(sketches);
  const configOf = (index: number) => generated(view, `dp-${index}`, { connectTimeoutMs }).config;
  for (const [index, client] of clients.entries()) client.connect(configOf(index));

  for (let round = 0; round < rounds; round++) {
    const index = random.below(clients.length);
    const client = clients[index] as C;
    const action = random.next();
    if (action < 0.3) {
      sketches[index] = sketch(index, random);
      if (random.chance(0.1)) connectTimeoutMs = 1000 + random.below(5) * 1000;
      view = viewOf(sketches);
      for (const [other, each] of clients.entries()) each.configure(configOf(other));
    } else if (action < 0.4) client.connect(random.chance(0.5) ? configOf(index) : undefined);
    else if (action < 0.5) act?.(client, random.pick(services));
    else for (let steps = random.below(4); steps > 0; steps--) client.handle(() => random.chance(0.1));
    for (const [other, each] of clients.entries()) {
      if (!each.session.configured && random.chance(0.5)) each.configure(configOf(other));
    }
    afterRound?.(client, configOf(index));
  }

  for (const [index, client] of clients.entries()) {
    client.connect(configOf(index));
    drain(client);
    atRest(client, configOf(index), `of client ${index}; TEST_SEED=${runSeed}`);
  }
}
