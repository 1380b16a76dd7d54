import fs from "node:fs";
import path from "node:path";
import { eventually } from "../../../support/eventually.js";
import type { ChaosEvent } from "../event.js";
import { type ChaosStage, members } from "../stage.js";

interface Certificates {
  readonly certificates: readonly { readonly cert_chain: readonly { readonly serial_number: string }[] }[];
}

interface Authority {
  readonly state: string;
  readonly roots: readonly { readonly fingerprint: string }[];
}

async function serial(stage: ChaosStage, name: string): Promise<string> {
  const { certificates } = JSON.parse(await stage.ask(name, "/certs")) as Certificates;
  const chain = certificates.flatMap(({ cert_chain }) => cert_chain);
  return chain.find(({ serial_number }) => serial_number !== "")?.serial_number ?? "";
}

async function renewed(stage: ChaosStage, name: string): Promise<void> {
  const before = await serial(stage, name);
  await eventually(
    `${name} has another certificate`,
    async () => {
      const now = await serial(stage, name);
      return now !== "" && now !== before;
    },
    90_000,
  );
}

async function authority(stage: ChaosStage): Promise<Authority> {
  const response = await fetch(`${stage.mesh.cp.api}/meshes/default/certificate-authority`);
  return (await response.json()) as Authority;
}

/** Whether kuma-dp has put this token where its Envoy reads it. */
function hasToken(directory: string, token: string): boolean {
  return fs
    .readdirSync(directory)
    .filter((entry) => entry.startsWith("kuma-dp-"))
    .some((entry) => {
      const copy = path.join(directory, entry, "token");
      return fs.existsSync(copy) && fs.readFileSync(copy, "utf8") === token;
    });
}

async function replaceToken(stage: ChaosStage, name: string): Promise<void> {
  const file = stage.members.get(name)?.tokenFile ?? "";
  const { temporary } = stage.mesh;
  const token = await stage.mesh.token(name, "default", { validFor: `${24 + stage.random.below(1_000_000)}h` });
  fs.writeFileSync(`${file}.new`, token, { mode: 0o600 });
  fs.renameSync(`${file}.new`, file);
  await eventually(`kuma-dp of ${name} has the new token`, () => hasToken(temporary, token), 90_000);
}

/** Begins a rotation, lets something happen, and waits until another root signs. */
async function rotate(stage: ChaosStage, meanwhile: () => Promise<void>): Promise<void> {
  const before = await authority(stage);
  const { status, stdout, stderr } = stage.mesh.kumactl("manage", "ca", "rotate");
  if (status !== 0) throw new Error(`kumactl manage ca rotate: ${stderr}`);
  await meanwhile();
  if (stdout.includes("already in progress") && before.state !== "active") return;
  await eventually(
    "another root signs",
    async () => {
      const { state, roots } = await authority(stage);
      return state !== "distributing" && roots[0]?.fingerprint !== before.roots[0]?.fingerprint;
    },
    60_000,
  );
}

export const certificateEvents: readonly ChaosEvent[] = [
  {
    name: "certificates renewed",
    weight: 1,
    mayFail: [],
    async run(stage) {
      await Promise.all(members.map((name) => renewed(stage, name)));
    },
  },
  {
    // The old root retires after the last certificate that it signed, during the events that follow; until then there
    // is no other rotation.
    name: "certificate authority rotated",
    weight: 2,
    mayFail: [],
    run: (stage) => rotate(stage, async () => {}),
  },
  {
    name: "kuma-cp killed while the certificate authority was rotated",
    weight: 1,
    mayFail: [],
    run: (stage) => rotate(stage, () => stage.restartControlPlane("SIGKILL")),
  },
  {
    name: "token file replaced",
    weight: 1,
    mayFail: [],
    run: (stage) => replaceToken(stage, stage.random.pick(members)),
  },
];
