// What it takes to find the policies of one proxy and to make its configuration, against the bare encoding of the same
// messages, and how that grows when what does not concern the proxy doubles.

import { createHash } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { type DescMessage, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import { type GeneratorOptions, generate } from "../../src/envoy/generate.js";
import { createPlacement } from "../../src/envoy/placement.js";
import { builtInApi } from "../../src/envoy/raw/api.js";
import { kinds, typeUrls } from "../../src/envoy/resource.js";
import type { Stored } from "../../src/store/store.js";
import { versionOf } from "../../src/store/version.js";
import { apply, emptyView } from "../../src/view/apply.js";
import type { MeshView, View } from "../../src/view/mesh-view.js";

interface Size {
  readonly dataplanes: number;
  readonly services: number;
  readonly permissions: number;
  readonly logs: number;
  readonly routes: number;
}

const base: Size = { dataplanes: 1_000, services: 100, permissions: 50, logs: 50, routes: 50 };
const numbers = Object.keys(base) as (keyof Size)[];

/** The first services are those that the measured proxies are, consume and have policies for; all else is the rest. */
const concerned = { services: 40, dataplanesEach: 10, policiesEach: 20 } as const;
const outbounds = 10;
const measured = 300;
const changes = 3;

const stored = (type: string, name: string, spec: unknown): Stored => ({
  type,
  mesh: "m",
  name,
  spec,
  version: versionOf(1),
});
const service = (index: number) => `service-${index}`;
const select = (index: number) => [{ match: { service: service(index) } }];

/** Of the concerned services as many as there always are, and all others of those that don't concern anybody here. */
function spread(count: number, own: number, services: number): readonly number[] {
  return Array.from({ length: count }, (_, index) =>
    index < own ? index % concerned.services : concerned.services + ((index - own) % (services - concerned.services)),
  );
}

function dataplane(index: number, of: number): Stored {
  const tags = { service: service(of), version: `${index % 2}` };
  const outbound = Array.from({ length: outbounds }, (_, next) => ({
    interface: `:${10_000 + next}`,
    service: service(of < concerned.services ? (of + next + 1) % concerned.services : of),
  }));
  const inbound = [{ interface: `10.${index >> 8}.${index & 255}.1:8000:80`, tags }];
  return stored("Dataplane", `dataplane-${index}`, { networking: { inbound, outbound } });
}

function resourcesOf(size: Size): readonly Stored[] {
  const logging = { backends: [{ name: "file", file: { path: "/tmp/access.log" } }], defaultBackend: "file" };
  const policies = (count: number) => spread(count, concerned.policiesEach, size.services);
  const own = concerned.services * concerned.dataplanesEach;
  return [
    stored("Mesh", "m", { mtls: { enabled: true, ca: { builtin: {} } }, logging }),
    ...spread(size.dataplanes, own, size.services).map((of, index) => dataplane(index, of)),
    ...policies(size.permissions).map((of, index) =>
      stored("TrafficPermission", `permission-${index}`, {
        rules: [{ sources: [...select(of + 1), ...select(of + 2)], destinations: select(of) }],
      }),
    ),
    ...policies(size.logs).map((of, index) =>
      stored("TrafficLog", `log-${index}`, {
        rules: [{ sources: [{ match: { service: "*" } }], destinations: select(of) }],
      }),
    ),
    ...policies(size.routes).map((of, index) =>
      stored("TrafficRoute", `route-${index}`, {
        sources: [{ match: { service: "*" } }],
        destinations: select(of),
        conf: [
          { weight: 90, destination: { service: service(of), version: "0" } },
          { weight: 10, destination: { service: service(of), version: "1" } },
        ],
      }),
    ),
  ];
}

const listing = (resources: readonly Stored[]): View =>
  apply(emptyView, { kind: "listing", sequence: 1, resources }, new Map());

function meshIn(view: View): MeshView {
  const mesh = view.get("m");
  if (mesh === undefined) throw new Error("the mesh is missing");
  return mesh;
}

const names = Array.from({ length: measured }, (_, index) => `dataplane-${index}`);
const pem = "-----BEGIN CERTIFICATE-----\n" + "MIIC".repeat(250) + "\n-----END CERTIFICATE-----\n";

function generateAll(mesh: MeshView, options: GeneratorOptions) {
  return names.map((name) => {
    const proxy = mesh.proxies.get(name);
    if (proxy === undefined) throw new Error(`${name} is missing`);
    return generate(proxy, mesh, options, createPlacement({ tokenPath: "token" }));
  });
}

function quantile(values: readonly number[], fraction: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) * fraction)] ?? Number.NaN;
}

const median = (all: readonly number[]) => quantile(all, 0.5);

setFlagsFromString("--expose-gc");
const collectGarbage: () => void = runInNewContext("gc");

/** Microseconds of the processor's time for a proxy, and what was made. */
function timed<T>(work: () => T): { us: number; made: T } {
  // Everyone pays for his own garbage only.
  collectGarbage();
  const start = process.cpuUsage();
  const made = work();
  const { user, system } = process.cpuUsage(start);
  return { us: (user + system) / measured, made };
}

interface Times {
  /** Nothing of the mesh was ever looked at. */
  readonly first: number;
  /** A policy of another service has changed since. */
  readonly again: number;
}

let round = 0;

/** A mesh that nothing is known of, a proxy's first configuration and the one after a change. */
function run(size: Size): Times & { made: ReturnType<typeof generateAll> } {
  round += 1;
  // Another server a round: whatever is kept for one can't serve the next.
  const options = { connectTimeoutMs: 5000, secretServer: { target: `cp-${round}:5677`, root: pem } };
  const view = listing(resourcesOf(size));
  const first = timed(() => generateAll(meshIn(view), options));
  const again = Array.from({ length: changes }, (_, index) => {
    const rules = [{ sources: select(0), destinations: select(concerned.services) }];
    const resource = stored("TrafficLog", `one-more-${index}`, { rules });
    const changed = meshIn(apply(view, { kind: "put", sequence: 2, resource }, new Map()));
    return timed(() => generateAll(changed, options)).us;
  });
  return { first: first.us, again: median(again), made: first.made };
}

/** The messages of all the configurations, encoded and hashed and nothing else. */
function bare(made: ReturnType<typeof generateAll>): () => void {
  const { registry } = builtInApi();
  const messages: { type: DescMessage; message: Message }[] = [];
  for (const { config } of made) {
    for (const kind of kinds) {
      const type = registry.getMessage(typeUrls[kind].split("/")[1] ?? "");
      if (type === undefined) throw new Error(`there is no type for ${kind}`);
      for (const { bytes } of config[kind].values()) messages.push({ type, message: fromBinary(type, bytes) });
    }
  }
  return () => {
    for (const { type, message } of messages) createHash("sha256").update(toBinary(type, message)).digest("base64url");
  };
}

const twice = (number: keyof Size): Size => ({ ...base, [number]: base[number] * 2 });

const digits = (value: number, count: number) => Number(value.toFixed(count));

const rounds = Number(process.argv[2] ?? 31);
/** The first rounds warm the runtime up and are not counted. */
const warmUp = 5;
const encode = bare(run(base).made);
const floor: number[] = [];
const plain: Times[] = [];
const doubled = new Map<keyof Size, Times[]>(numbers.map((number) => [number, []]));
for (let count = 0; count < rounds + warmUp; count++) {
  // What the last round has made is only released between two tasks of the event loop, as in the control plane.
  await new Promise((resolve) => setImmediate(resolve));
  const bareUs = timed(encode).us;
  // In another order each time: who comes first may find a colder processor.
  const sizes = [undefined, ...numbers].map((_, index, all) => all[(index + count) % all.length]);
  const times = new Map(sizes.map((number) => [number, run(number === undefined ? base : twice(number))]));
  const ours = times.get(undefined);
  if (count < warmUp || ours === undefined) continue;
  floor.push(bareUs);
  plain.push(ours);
  for (const number of numbers) doubled.get(number)?.push(times.get(number) ?? ours);
}

const ratiosOf = (all: readonly number[], to: readonly number[]) =>
  all.map((value, at) => value / (to[at] ?? Number.NaN));
const ratios: Record<string, number> = {};
const details: Record<string, unknown> = {
  rounds,
  measured,
  outbounds,
  bareUs: digits(median(floor), 1),
};
const target = 1.1;
for (const when of ["first", "again"] as const) {
  const times = plain.map((each) => each[when]);
  const each = ratiosOf(times, floor);
  ratios[when] = digits(median(each), 3);
  details[when] = {
    us: digits(median(times), 1),
    p10: digits(quantile(each, 0.1), 3),
    p90: digits(quantile(each, 0.9), 3),
  };
  console.log(
    `one proxy ${when.padEnd(6)} ${median(times).toFixed(0)} µs, bare encoding ${median(floor).toFixed(0)} µs: ${ratios[when]}`,
  );
  for (const [number, all] of doubled) {
    const growth = ratiosOf(
      all.map((one) => one[when]),
      times,
    );
    const name = `${when}, ${number} doubled`;
    ratios[name] = digits(median(growth), 3);
    details[name] = { target, p10: digits(quantile(growth, 0.1), 3), p90: digits(quantile(growth, 0.9), 3) };
    console.log(`  ${number} doubled: ${ratios[name]}, target ${target}`);
  }
}
console.log(JSON.stringify({ bench: "policy", ratios, details }));
