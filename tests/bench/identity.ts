// Workload certificates, keys and PEM included, against node:crypto alone doing the same work; and how responsive the
// control plane stays while 1,000 proxies connect at once, against bare grpc-js servers under the same storm.
import { generateKeyPairSync, randomBytes, sign, X509Certificate } from "node:crypto";
import { readAuthority } from "../../src/identity/authority.js";
import { createRoot } from "../../src/identity/root.js";
import { issueIdentity } from "../../src/identity/workload.js";
import { type StormCost, storms } from "./storm.js";

interface Result {
  readonly ratios: Readonly<Record<string, number>>;
  readonly details: Readonly<Record<string, unknown>>;
}

function quantile(values: readonly number[], fraction: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) * fraction)] ?? Number.NaN;
}

const median = (values: readonly number[]) => quantile(values, 0.5);
const digits = (value: number, count: number) => Number(value.toFixed(count));

/** Microseconds that one call takes, as the mean of `calls` in a row. */
async function timeOf(calls: number, body: () => unknown): Promise<number> {
  const start = process.hrtime.bigint();
  for (let call = 0; call < calls; call++) await body();
  return Number(process.hrtime.bigint() - start) / 1e3 / calls;
}

/** The floor is a P-256 key pair, both keys in PEM, and one signature over as many bytes as the certificate has. */
async function issuing(): Promise<Result> {
  const rounds = 61;
  /** The first rounds warm both sides up and are not counted. */
  const warmUp = 6;
  const perRound = 200;
  const now = new Date();
  const made = await createRoot({ mesh: "default", keyType: "ecdsa-p256", now });
  const base64 = (pem: string) => Buffer.from(pem).toString("base64");
  const [root] = readAuthority(JSON.stringify({ roots: [{ cert: base64(made.cert), key: base64(made.key) }] })).roots;
  const request = {
    mesh: "default",
    services: ["backend"],
    keyType: "ecdsa-p256",
    now,
    validityMs: 2_592_000_000,
  } as const;
  const ours = () => issueIdentity(root, request);
  const { certificateChain } = await ours();
  const bytes = randomBytes(new X509Certificate(certificateChain).raw.length);
  const bare = () => {
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    publicKey.export({ type: "spki", format: "pem" });
    privateKey.export({ type: "pkcs8", format: "pem" });
    sign("sha256", bytes, root.key);
  };
  const times: { ours: number[]; bare: number[] } = { ours: [], bare: [] };
  for (let round = 0; round < rounds + warmUp; round++) {
    const pair = { ours: await timeOf(perRound, ours), bare: await timeOf(perRound, bare) };
    if (round < warmUp) continue;
    times.ours.push(pair.ours);
    times.bare.push(pair.bare);
  }
  const [oursUs, bareUs] = [median(times.ours), median(times.bare)];
  const each = times.ours.map((value, round) => value / (times.bare[round] ?? Number.NaN));
  const ratio = digits(median(each), 2);
  const spread = { ratioP10: digits(quantile(each, 0.1), 2), ratioP90: digits(quantile(each, 0.9), 2) };
  const target = 4;
  console.log(
    `certificates       ${Math.round(1e6 / oursUs)} a second, bare ${Math.round(1e6 / bareUs)}: ` +
      `${ratio} (p10 ${spread.ratioP10}, p90 ${spread.ratioP90}), target ${target}`,
  );
  const details = { target, rounds, perRound, oursUs: digits(oursUs, 1), bareUs: digits(bareUs, 1), ...spread };
  return { ratios: { certificate: ratio }, details: { certificate: details } };
}

/** The floor answers the same bytes to the same clients and computes nothing. */
async function connecting(): Promise<Result> {
  const rounds = 3;
  const targetMs = 50;
  const { ours, bare } = await storms(rounds);
  const medians = (side: readonly StormCost[]) => {
    const names = Object.keys(side[0] ?? {}) as (keyof StormCost)[];
    return Object.fromEntries(names.map((of) => [of, digits(median(side.map((cost) => cost[of])), 1)]));
  };
  const ratioOf = (of: keyof StormCost) =>
    digits(median(ours.map((cost, round) => cost[of] / (bare[round]?.[of] ?? Number.NaN))), 2);
  const ratios = { stormDelayP99: ratioOf("p99"), stormCpu: ratioOf("cpuSeconds") };
  const [mine, floor] = [medians(ours), medians(bare)];
  const show = ({ p50, p99, max, busyMax, cpuSeconds, lastCertificate }: typeof mine) =>
    `delay p50 ${p50}, p99 ${p99}, max ${max} ms (own work up to ${busyMax} ms), CPU ${cpuSeconds} s, ` +
    `last certificate after ${lastCertificate} ms`;
  console.log(`1,000 at once      ${show(mine)}; target p99 ${targetMs} ms`);
  console.log(`             bare  ${show(floor)}: ${ratios.stormDelayP99} (p99), ${ratios.stormCpu} (CPU)`);
  const p99OfRounds = { ours: ours.map(({ p99 }) => digits(p99, 1)), bare: bare.map(({ p99 }) => digits(p99, 1)) };
  return { ratios, details: { storm: { targetMs, rounds, p99OfRounds, ours: mine, bare: floor } } };
}

const results = [await issuing(), await connecting()];
console.log(
  JSON.stringify({
    bench: "identity",
    ratios: Object.assign({}, ...results.map(({ ratios }) => ratios)),
    details: Object.assign({}, ...results.map(({ details }) => details)),
  }),
);
