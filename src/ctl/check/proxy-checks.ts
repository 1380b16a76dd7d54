import { formatDuration } from "../../lib/durations.js";
import { type Check, success, unless } from "./check.js";
import type { CheckContext } from "./context.js";
import { timeAt } from "./control-plane.js";
import type { ProxyState } from "./proxy.js";

const label = ({ name, mesh }: ProxyState) => `"${name}" in mesh "${mesh}"`;

/** The name and mesh to use in a command: those of the only proxy, or placeholders for several. */
function placeholders(proxies: readonly ProxyState[]): { readonly name: string; readonly mesh: string } {
  const [only, ...others] = proxies;
  return only !== undefined && others.length === 0 ? only : { name: "NAME", mesh: "MESH" };
}

const online = (proxies: readonly ProxyState[]) => proxies.filter(({ connection }) => connection === "online");

/** Proxies without a connection are left out, because they have another problem to fix first. */
const withMtls = (proxies: readonly ProxyState[]) => online(proxies).filter(({ mtls }) => mtls);

const anyWithMtls = async ({ controlPlane }: CheckContext) => withMtls(await controlPlane.proxies()).length > 0;

const anyCertified = async ({ controlPlane }: CheckContext) =>
  withMtls(await controlPlane.proxies()).some(({ certificate: has }) => has !== undefined);

const connected: Check = {
  id: "connected",
  anchor: "check-connected",
  description: "every dataplane has connected",
  needs: ["mesh"],
  async run({ controlPlane }) {
    const proxies = await controlPlane.proxies();
    if (proxies.length === 0) return success("none is registered");
    const missing = proxies.filter(({ connection }) => connection === "never");
    const { name, mesh } = placeholders(missing);
    return unless(
      missing.map((proxy) => `${label(proxy)} is registered, but its proxy has never connected`),
      {
        detail: String(proxies.length),
        fix:
          `start \`kuma-dp run --name=${name} --mesh=${mesh} --cp-address=URL\` next to its service; if it already runs, ` +
          "its log says why it can't connect: Envoy has to reach the xDS server (KUMA_XDS_SERVER_GRPC_PORT)",
      },
    );
  },
};

const present: Check = {
  id: "online",
  anchor: "check-online",
  description: "every dataplane that has connected is online",
  needs: ["mesh"],
  applies: async ({ controlPlane }) => (await controlPlane.proxies()).some(({ connection }) => connection !== "never"),
  async run({ controlPlane }) {
    const proxies = await controlPlane.proxies();
    const gone = proxies.filter(({ connection }) => connection === "offline");
    const { name, mesh } = placeholders(gone);
    return unless(
      gone.map((proxy) => `${label(proxy)} is offline since ${proxy.disconnected?.toISOString() ?? "an unknown time"}`),
      {
        detail: String(online(proxies).length),
        fix:
          `check whether \`kuma-dp run --name=${name} --mesh=${mesh}\` still runs next to its service, and start it if not; if ` +
          "it runs, it keeps its last configuration, and its log says why it can't reach the control plane. Other " +
          "dataplanes keep sending to it as long as its Dataplane exists",
      },
    );
  },
};

/**
 * A lost connection is noticed within about 70 seconds, and an Envoy that was replaced by a reload exits after its
 * drain time. Until then its stream and its successor's are both open.
 */
const noticedMs = 120_000;

const single: Check = {
  id: "duplicate",
  anchor: "check-duplicate",
  description: "no two proxies are connected under one name",
  needs: ["mesh"],
  applies: async ({ controlPlane }) => online(await controlPlane.proxies()).length > 0,
  async run({ controlPlane, machine }) {
    const now = await timeAt({ machine, controlPlane });
    const reasons = online(await controlPlane.proxies()).flatMap((proxy) => {
      const { streams } = proxy;
      const second = streams[1];
      if (second === undefined) return [];
      const times = streams.map((since) => since.toISOString());
      const shown = times.length > shownStreams ? [...times.slice(0, shownStreams), "later"] : times;
      const passing =
        now.getTime() - second.getTime() < noticedMs
          ? "; if there is only one, its connection was lost or it was reloaded, and this warning disappears within two minutes"
          : "";
      return [`${times.length} proxies are connected as ${label(proxy)}, since ${shown.join(" and ")}${passing}`];
    });
    return unless(reasons, {
      result: "warning",
      fix:
        "find the machines on which a kuma-dp of that name runs (`pgrep -af kuma-dp` shows its --name), and give all " +
        "but one a name and a Dataplane of their own; keep this Dataplane, because one of them still needs it",
    });
  },
};

/** Most connect times in a line. */
const shownStreams = 3;

const configuration: Check = {
  id: "configuration",
  anchor: "check-configuration",
  description: "every Envoy accepts its configuration",
  needs: ["mesh"],
  applies: async ({ controlPlane }) => online(await controlPlane.proxies()).length > 0,
  async run({ controlPlane }) {
    const refusing = online(await controlPlane.proxies()).flatMap((proxy) =>
      proxy.refused.map(({ type, resource, reason }) => {
        // With two proxies under one name, the second finds the first one's ports taken. Those ports must not be freed.
        const who = proxy.streams.length < 2 ? "Envoy" : `one of ${proxy.streams.length} Envoys (see above)`;
        return `${who} of ${label(proxy)} refuses ${type.toUpperCase()} resource "${resource}": ${reason}`;
      }),
    );
    return unless(refusing, {
      fix:
        'change what Envoy names: for "cannot bind" or "cannot listen" free the port or change the Dataplane\'s interface; for a ' +
        "resource of a ProxyTemplate, change the template. The proxy keeps its last configuration and gets a changed " +
        "resource at once. What failed because of a port, an address or a file is sent again within a minute, or at " +
        "once when its Dataplane is applied again",
    });
  },
};

const application: Check = {
  id: "application",
  anchor: "check-application",
  description: "every application accepts connections",
  needs: ["mesh"],
  // Sidecars probe their application only when a HealthCheck requires it, so no report does not mean that all is well.
  applies: async ({ controlPlane }) => (await controlPlane.proxies()).some(({ down }) => down.length > 0),
  async run({ controlPlane }) {
    const reasons = (await controlPlane.proxies()).flatMap((proxy) =>
      proxy.down.map((port) => `the application of ${label(proxy)} does not accept connections on port ${port}`),
    );
    return unless(reasons, {
      fix:
        "start the application, or find in its log why it accepts no connections. Its sidecar connects to 127.0.0.1 and the port " +
        "that the Dataplane's interface ends with: the application has to listen there. Until it does, dataplanes " +
        "with a HealthCheck connect to other instances",
    });
  },
};

/** Envoy answers within milliseconds, or within seconds when the configuration is large for a small machine. */
const answeredMs = 15_000;

const updates: Check = {
  id: "updates",
  anchor: "check-updates",
  description: "every Envoy responds to its configuration",
  needs: ["mesh"],
  applies: async ({ controlPlane }) => online(await controlPlane.proxies()).length > 0,
  async run({ controlPlane, machine }) {
    const now = await timeAt({ machine, controlPlane });
    const unresponsive = online(await controlPlane.proxies()).filter(
      ({ unanswered }) => unanswered !== undefined && now.getTime() - unanswered.getTime() >= answeredMs,
    );
    const { name, mesh } = placeholders(unresponsive);
    return unless(
      unresponsive.map(
        (proxy) =>
          `Envoy of ${label(proxy)} has not responded to the configuration sent at ${proxy.unanswered?.toISOString()}: ` +
          "it uses its previous one",
      ),
      {
        fix:
          "check on its machine whether Envoy is suspended or lacks CPU or memory; if it hangs, restart its kuma-dp. " +
          `\`kumactl inspect dataplane ${name} --mesh ${mesh} --diff\` shows what it has not acknowledged`,
      },
    );
  },
};

const token: Check = {
  id: "token",
  anchor: "check-token",
  description: "every dataplane proves its identity with its token",
  needs: ["mesh"],
  applies: anyWithMtls,
  async run({ controlPlane }) {
    const refused = withMtls(await controlPlane.proxies()).filter(({ refusal }) => refusal !== undefined);
    const { name, mesh } = placeholders(refused);
    return unless(
      refused.map((proxy) => {
        const { at, reason } = proxy.refusal ?? { at: "", reason: "" };
        const until = proxy.certificate;
        const left = until === undefined ? "and has none" : `its last one expires at ${until.expires.toISOString()}`;
        return `${label(proxy)} was refused a certificate at ${at}, ${left}: ${reason}`;
      }),
      {
        fix:
          `make a token with \`kumactl generate dataplane-token --name=${name} --mesh=${mesh}\` into the file that ` +
          "--dataplane-token-file of its kuma-dp names; kuma-dp notices a change by itself",
      },
    );
  },
};

/** Envoy requests its certificate once it has its clusters, and waits up to 15 s for their dependencies. */
const settlingMs = 30_000;

const certificate: Check = {
  id: "certificate",
  anchor: "check-certificate",
  description: "every dataplane with a valid token has a certificate",
  // No Envoy accepts a certificate from a server whose own certificate has expired.
  needs: ["mesh", "sds-certificate"],
  applies: anyWithMtls,
  async run({ controlPlane, machine }) {
    const now = await timeAt({ machine, controlPlane });
    const uncertified = withMtls(await controlPlane.proxies()).filter(
      // The token check covers proxies whose request was rejected.
      ({ certificate: has, refusal, connected: since }) =>
        has === undefined && refusal === undefined && now.getTime() - (since?.getTime() ?? 0) >= settlingMs,
    );
    // The insight still has the certificate from before Envoy restarted. Only the control plane that serves the proxy
    // knows that it is gone.
    const restarted = ((await controlPlane.problems()) ?? []).filter(
      ({ code, mesh, dataplanes }) =>
        code === "certificate-missing" &&
        !uncertified.some((proxy) => proxy.mesh === mesh && dataplanes.includes(proxy.name)),
    );
    return unless(
      [
        ...uncertified.map((proxy) => `${label(proxy)} is connected, but has never received a certificate`),
        ...restarted.map(({ mesh, message }) => `mesh "${mesh}": ${message}`),
      ],
      {
        fix:
          "check the log of its kuma-dp: Envoy has to reach the SDS server (KUMA_SDS_SERVER_GRPC_PORT) by the name in " +
          "KUMA_GENERAL_ADVERTISED_HOSTNAME, and the SDS server's certificate has to contain that name",
      },
    );
  },
};

const secretStream: Check = {
  id: "sds-stream",
  anchor: "check-sds-stream",
  description: "every dataplane can renew its certificate",
  needs: ["mesh", "sds-certificate"],
  applies: async (context) => (await anyCertified(context)) && (await context.controlPlane.problems()) !== undefined,
  async run({ controlPlane }) {
    const lost = ((await controlPlane.problems()) ?? []).filter(({ code }) => code === "no-secret-stream");
    return unless(
      lost.map(({ mesh, message }) => `mesh "${mesh}": ${message}`),
      {
        result: "warning",
        fix:
          "check that Envoy can reach the SDS server (KUMA_SDS_SERVER_GRPC_PORT), and read the log of its kuma-dp; after a " +
          "lost connection, Envoy reconnects within half a minute",
      },
    );
  },
};

const expiry: Check = {
  id: "certificate-expiry",
  anchor: "check-certificate-expiry",
  description: "no certificate has expired",
  needs: ["mesh"],
  applies: anyCertified,
  async run({ controlPlane, machine }) {
    const now = await timeAt({ machine, controlPlane });
    const reasons = withMtls(await controlPlane.proxies()).flatMap((proxy) => {
      const { certificate: has } = proxy;
      if (has === undefined || has.expires > now) return [];
      return [`the certificate of ${label(proxy)} expired at ${has.expires.toISOString()}: it can't reach its peers`];
    });
    return unless(reasons, { fix: renewalFix });
  },
};

const renewalFix =
  "check above whether its token is rejected or the SDS server's certificate has expired; otherwise kuma-cp's log says " +
  "why it issues none, and the log of its kuma-dp why Envoy requests none: restart the kuma-dp to request it again";

/**
 * The control plane renews at 80 % of a certificate's lifetime, give or take 5 %, and Envoy applies the new one at
 * once. The rest is for delivery and for updating the insight.
 */
const latestRenewal = 0.85;
const deliveryShare = 0.05;
const longestDeliveryMs = 60_000;

/** The latest time at which a certificate should have been replaced. */
export function renewalDue({ taken, expires }: NonNullable<ProxyState["certificate"]>): Date {
  const life = expires.getTime() - taken.getTime();
  return new Date(taken.getTime() + life * latestRenewal + Math.min(life * deliveryShare, longestDeliveryMs));
}

const renewal: Check = {
  id: "certificate-renewal",
  anchor: "check-certificate-renewal",
  description: "certificates are renewed before they expire",
  needs: ["mesh"],
  applies: anyCertified,
  async run({ controlPlane, machine }) {
    const now = await timeAt({ machine, controlPlane });
    const proxies = withMtls(await controlPlane.proxies());
    const reasons = proxies.flatMap((proxy) => {
      const { certificate: has } = proxy;
      if (has === undefined || has.expires <= now || renewalDue(has) > now) return [];
      const left = formatDuration(has.expires.getTime() - now.getTime());
      return [`the certificate of ${label(proxy)} expires in ${left}, and should have been renewed already`];
    });
    const ends = proxies.flatMap(({ certificate: has }) => (has === undefined ? [] : [has.expires.getTime()]));
    const detail =
      ends.length === 0 ? {} : { detail: `the first expires at ${new Date(Math.min(...ends)).toISOString()}` };
    return unless(reasons, { result: "warning", fix: renewalFix, ...detail });
  },
};

export const proxyChecks: readonly Check[] = [
  connected,
  present,
  single,
  configuration,
  application,
  updates,
  token,
  certificate,
  secretStream,
  expiry,
  renewal,
];
