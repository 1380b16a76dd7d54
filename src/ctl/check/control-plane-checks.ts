import { formatDuration } from "../../lib/durations.js";
import { messageOf, UserError } from "../../lib/errors.js";
import { resolvesToLoopback } from "../loopback.js";
import { type Check, failure, type Outcome, success, unless } from "./check.js";
import type { CheckContext } from "./context.js";
import { isKuma, settingAt } from "./control-plane.js";

const addAddress = "`kumactl config control-planes add --name NAME --address URL`";

const configured: Check = {
  id: "kumactl-config",
  anchor: "check-kumactl-config",
  description: "kumactl knows which control plane to ask",
  async run({ controlPlane }) {
    try {
      return success((await controlPlane.address()).origin);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      return failure(error.message, `add the control plane with ${addAddress}; --config-file names another file`);
    }
  },
};

const reachable: Check = {
  id: "reachable",
  anchor: "check-reachable",
  description: "the control plane answers",
  needs: ["kumactl-config"],
  async run({ controlPlane }) {
    try {
      await controlPlane.index();
      return success((await controlPlane.address()).origin);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      const here = await controlPlane.isLocal();
      const start = here ? "start it with `kuma-cp run`, which logs why it exits" : "check that it runs";
      const open = here ? "" : ", that its host name is right and that no firewall blocks its port";
      return failure(messageOf(error), `${start}${open}; if it is elsewhere, ${addAddress}`);
    }
  },
};

const kuma: Check = {
  id: "kuma",
  anchor: "check-kuma",
  description: "the server is a Kuma control plane",
  needs: ["reachable"],
  async run({ controlPlane }) {
    const index = await controlPlane.index();
    if (isKuma(index)) return success();
    const { origin } = await controlPlane.address();
    return failure(
      `something else answers at ${origin} (status ${index.status}): the port is another server's`,
      `stop that server, or give the control plane another port with KUMA_API_SERVER_PORT; if it is elsewhere, ${addAddress}`,
    );
  },
};

/** The part of a version that must be equal for kumactl and kuma-cp to be compatible. */
const release = (version: string) => /^v?(\d+\.\d+)\./.exec(version)?.[1];

/** Patch versions of one release are compatible; nothing is known about other releases. */
function versionOutcome(own: string, theirs: string): Outcome {
  if (own === theirs) return success(own);
  const reason = `the control plane is ${theirs === "" ? "of an unknown version" : theirs}, kumactl is ${own}`;
  const compatible = release(own) !== undefined && release(own) === release(theirs);
  const fix =
    "use kumactl and kuma-cp of the same release; `kumactl version` and `kuma-cp version` show which they are";
  return { result: compatible ? "warning" : "error", reasons: [reason], fix };
}

const version: Check = {
  id: "version",
  anchor: "check-version",
  description: "kumactl and the control plane have the same version",
  needs: ["kuma"],
  run: async (context) => versionOutcome(context.version, (await context.controlPlane.index()).version),
};

/** Larger than the differences between synchronized clocks. */
const notableMs = 10_000;
/** Certificates are backdated by this much. A clock that is further behind considers them not yet valid. */
const backdatingMs = 60_000;

/** `ahead`: the least by which the control plane's clock is ahead, in milliseconds. */
function clockOutcome(ahead: number | undefined): Outcome {
  if (ahead === undefined) return success("the control plane does not report its time");
  const difference = Math.abs(ahead);
  if (difference < notableMs) return success();
  const direction = ahead > 0 ? "ahead of" : "behind";
  const reason = `the control plane's clock is ${formatDuration(difference)} ${direction} this machine's`;
  const meaning =
    ahead > 0
      ? "machines whose clocks are more than a minute behind consider certificates not valid yet"
      : "machines whose clocks are ahead consider certificates and tokens expired too early";
  return {
    result: difference >= backdatingMs ? "error" : "warning",
    reasons: [`${reason}: ${meaning}`],
    fix: "synchronize the clocks of both machines with NTP: `timedatectl set-ntp true`, or chrony",
  };
}

const clock: Check = {
  id: "clock",
  anchor: "check-clock",
  description: "the clocks of the control plane and of this machine agree",
  needs: ["kuma"],
  run: async ({ controlPlane }) => clockOutcome((await controlPlane.index()).ahead),
};

const withMtls = async ({ controlPlane }: CheckContext): Promise<readonly string[]> =>
  (await controlPlane.meshes()).filter(({ mtls }) => mtls).map(({ name }) => name);

const tellsInterface = async ({ controlPlane }: CheckContext): Promise<boolean> =>
  typeof settingAt(await controlPlane.settings(), "apiServer.interface") === "string";

const exposure: Check = {
  id: "api-exposure",
  anchor: "check-api-exposure",
  description: "other machines can't change resources while mTLS is on",
  needs: ["kuma"],
  applies: async (context) => (await tellsInterface(context)) && (await withMtls(context)).length > 0,
  async run(context) {
    const settings = await context.controlPlane.settings();
    const address = String(settingAt(settings, "apiServer.interface"));
    // Control planes from before this setting accept changes from everyone.
    const set = settingAt(settings, "apiServer.authn.type");
    const meshes = (await withMtls(context)).map((name) => `"${name}"`);
    const open = (set ?? "none") === "none" && !(await resolvesToLoopback(address));
    const reason =
      `the HTTP API listens on ${address} without authentication while mTLS is on in mesh ${meshes.join(", ")}: ` +
      "anyone who reaches it can write a TrafficPermission";
    const narrow = "restrict it with KUMA_API_SERVER_INTERFACE=127.0.0.1, or block its port with a firewall";
    const fix = set === undefined ? narrow : `set KUMA_API_SERVER_AUTHN_TYPE=localhost, ${narrow}`;
    return unless(open ? [reason] : [], { result: "warning", fix });
  },
};

/**
 * Without mTLS in any mesh, everybody may connect to every service, but nobody should be able to change all resources
 * from another machine.
 */
const authentication: Check = {
  id: "api-authentication",
  anchor: "check-api-authentication",
  description: "other machines can't change resources",
  needs: ["kuma"],
  // With mTLS the previous check reports this.
  applies: async (context) =>
    (await tellsInterface(context)) &&
    settingAt(await context.controlPlane.settings(), "apiServer.authn.type") === "none" &&
    (await withMtls(context)).length === 0,
  async run({ controlPlane }) {
    const address = String(settingAt(await controlPlane.settings(), "apiServer.interface"));
    const reason =
      `the HTTP API listens on ${address} without authentication: whoever reaches it can change every resource, and thereby ` +
      "run programs on every sidecar's host";
    return unless((await resolvesToLoopback(address)) ? [] : [reason], {
      result: "warning",
      fix: "set KUMA_API_SERVER_AUTHN_TYPE=localhost, or restrict it with KUMA_API_SERVER_INTERFACE=127.0.0.1",
    });
  },
};

export const controlPlaneChecks: readonly Check[] = [
  configured,
  reachable,
  kuma,
  version,
  clock,
  exposure,
  authentication,
];
