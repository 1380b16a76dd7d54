import { formatDuration } from "../../lib/durations.js";
import { type Check, success, unless } from "./check.js";
import type { CheckContext } from "./context.js";
import { settingAt, timeAt } from "./control-plane.js";

/** How to repair a store of this type, after a colon; empty when this kumactl does not know the type. */
async function repairOf(type: string): Promise<string> {
  const { storeKinds } = await import("../../store/kinds.js");
  const { repair } = storeKinds.find(({ name }) => name === type) ?? {};
  return repair === undefined ? "" : `: ${repair}`;
}

const store: Check = {
  id: "store",
  anchor: "check-store",
  description: "the control plane can write to its store",
  needs: ["kuma"],
  applies: async ({ controlPlane }) => (await controlPlane.status()) !== undefined,
  async run({ controlPlane }) {
    const { type, problem } = (await controlPlane.status())?.store ?? { type: "", problem: undefined };
    if (problem === undefined) return success(type);
    return {
      result: "error",
      reasons: [`no change can be stored, and the state of dataplanes is not recorded meanwhile: ${problem}`],
      fix: `fix what the reason names${await repairOf(type)}; kuma-cp recovers by itself once it can write`,
    };
  },
};

const anyMtls = async ({ controlPlane }: CheckContext) => (await controlPlane.meshes()).some(({ mtls }) => mtls);

const longestNoticeMs = 30 * 24 * 3_600_000;

/**
 * How long before its expiry a certificate with this validity should be replaced: a month, or a fifth of a shorter
 * validity.
 */
const noticeFor = (validityMs: number) => Math.min(longestNoticeMs, validityMs / 5);

const renewFiles = "put a new certificate and its key into the files that KUMA_SDS_SERVER_TLS_CERT_FILE and ";
const nameFiles =
  "make a certificate with `kumactl generate tls-certificate --type=server --cp-hostname=HOST`, and name its files by " +
  "KUMA_SDS_SERVER_TLS_CERT_FILE and ";

const sdsCertificate: Check = {
  id: "sds-certificate",
  anchor: "check-sds-certificate",
  description: "the certificate of the SDS server is valid",
  needs: ["kuma"],
  applies: async ({ controlPlane }) => (await controlPlane.status())?.sdsCertificate !== undefined,
  async run(context) {
    const certificate = (await context.controlPlane.status())?.sdsCertificate;
    if (certificate === undefined) return success();
    const { notBefore, notAfter, setting } = certificate;
    const now = await timeAt(context);
    const named = setting === undefined ? "" : ` (${setting})`;
    const what = `the certificate that the SDS server presents${named}`;
    const fix =
      `${setting === undefined ? nameFiles : renewFiles}KUMA_SDS_SERVER_TLS_KEY_FILE${setting === undefined ? "" : " name"}, ` +
      "and restart kuma-cp; dataplanes keep their certificates until they expire";
    const meaning = "Envoy rejects it, so that no dataplane gets a certificate";
    if (notAfter <= now || notBefore > now) {
      const reason =
        notAfter <= now
          ? `${what} expired at ${notAfter.toISOString()}: ${meaning}`
          : `${what} is not valid before ${notBefore.toISOString()}: ${meaning}. Or the clock of the control plane is wrong`;
      // Without mTLS nobody uses the SDS server yet.
      return { result: (await anyMtls(context)) ? "error" : "warning", reasons: [reason], fix };
    }
    const left = notAfter.getTime() - now.getTime();
    if (left > noticeFor(notAfter.getTime() - notBefore.getTime())) {
      return success(`until ${notAfter.toISOString()}`);
    }
    return { result: "warning", reasons: [`${what} expires in ${formatDuration(left)}`], fix };
  },
};

const identity: Check = {
  id: "token-server",
  anchor: "check-token-server",
  description: "dataplanes authenticate with tokens",
  needs: ["kuma"],
  applies: async (context) =>
    typeof settingAt(await context.controlPlane.settings(), "dataplaneTokenServer.enabled") === "boolean" &&
    (await anyMtls(context)),
  async run({ controlPlane }) {
    const open = settingAt(await controlPlane.settings(), "dataplaneTokenServer.enabled") === false;
    const reason =
      "the token server is off, so that the SDS server accepts any dataplane name without authentication: whoever " +
      "reaches it can get a certificate for any service";
    return unless(open ? [reason] : [], {
      result: "warning",
      fix: "give each kuma-dp a token, and then set KUMA_DATAPLANE_TOKEN_SERVER_ENABLED=true: see README.md#dataplane-tokens",
    });
  },
};

const limits: Check = {
  id: "limits",
  anchor: "check-limits",
  description: "no limit was exceeded recently",
  needs: ["kuma"],
  applies: async ({ controlPlane }) => (await controlPlane.status()) !== undefined,
  async run({ controlPlane }) {
    const refusals = (await controlPlane.status())?.refusals ?? [];
    return unless(
      refusals.map(
        ({ server, limit, times, last }) =>
          `the ${server} server rejected what exceeded its limit "${limit}", last at ${last} (${times} since it started)`,
      ),
      {
        result: "warning",
        fix:
          "README.md#limits describes the limit; kuma-cp's log names the peer if it is known. A dataplane that was " +
          "rejected keeps its last configuration: look for its name in `kumactl inspect dataplanes`",
      },
    );
  },
};

export const statusChecks: readonly Check[] = [store, sdsCertificate, identity, limits];
