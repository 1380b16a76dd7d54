// kumactl version of the executable against the runtime inside it doing nothing.
import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { executable } from "../../scripts/executable.mjs";

const bin = process.env.KUMA_BIN ?? "dist/bin";
const rounds = 31;

const work = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-bench-"));

/**
 * The floor is an executable made in the same way of an empty file: the least that this runtime takes in
 * this form. Plain Node with an empty file takes a little longer, since it also looks for that file.
 */
const nothing = path.join(work, "nothing");
fs.writeFileSync(`${nothing}.cjs`, "");
executable(`${nothing}.cjs`, nothing);

const subjects = {
  kumactl: [path.join(bin, "kumactl"), "version"],
  runtime: [nothing, "version"],
} as const;

function once([program, argument]: readonly [string, string]): number {
  const start = process.hrtime.bigint();
  execFileSync(program, [argument], { stdio: "ignore" });
  return Number(process.hrtime.bigint() - start) / 1e6;
}

const times: Record<keyof typeof subjects, number[]> = { kumactl: [], runtime: [] };
for (const subject of Object.values(subjects)) once(subject);
for (let round = 0; round < rounds; round++) {
  for (const name of ["kumactl", "runtime"] as const) times[name].push(once(subjects[name]));
}

function quantile(values: readonly number[], fraction: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) * fraction)] ?? Number.NaN;
}
const round = (value: number) => Math.round(value * 100) / 100;
const spread = (values: readonly number[]) => ({
  medianMs: round(quantile(values, 0.5)),
  p10Ms: round(quantile(values, 0.1)),
  p90Ms: round(quantile(values, 0.9)),
});

const kuma = fs.readFileSync(path.join(bin, "kuma"));
const tarball = path.join(work, "kuma.tar.gz");
const packed = spawnSync("tar", ["-czf", tarball, "-C", bin, "kuma", "envoy"]);
const details = {
  kumactlVersion: spread(times.kumactl),
  bareRuntime: spread(times.runtime),
  executableBytes: kuma.length,
  executableGzipBytes: gzipSync(kuma, { level: 6 }).length,
  tarballWithEnvoyBytes: packed.status === 0 ? fs.statSync(tarball).size : undefined,
};
fs.rmSync(work, { recursive: true, force: true });

const ratio = round(quantile(times.kumactl, 0.5) / quantile(times.runtime, 0.5));
console.log(`kumactl version   ${details.kumactlVersion.medianMs} ms (median of ${rounds})`);
console.log(`bare runtime      ${details.bareRuntime.medianMs} ms`);
console.log(`executable        ${(kuma.length / 1e6).toFixed(1)} MB`);
console.log(`tarball           ${((details.tarballWithEnvoyBytes ?? 0) / 1e6).toFixed(1)} MB with Envoy`);
console.log(JSON.stringify({ bench: "startup", ratios: { "kumactl version": ratio }, details }));
