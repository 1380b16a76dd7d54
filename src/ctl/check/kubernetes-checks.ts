import { formatDuration } from "../../lib/durations.js";
import { UserError } from "../../lib/errors.js";
import { type Check, success, unless } from "./check.js";
import type { CheckContext } from "./context.js";
import { answersAsKuma, timeAt } from "./control-plane.js";
import type { KubernetesState, WebhookState } from "./kubernetes-state.js";
import { noticeFor } from "./status-checks.js";

// What the control plane tells of its installation on Kubernetes: it has permissions that the user may lack, such as for
// Secrets, and sees the cluster from inside.

/** What the control plane reports about Kubernetes; undefined when it does not answer, or runs elsewhere. */
export async function reportedBy({ controlPlane }: CheckContext): Promise<KubernetesState | undefined> {
  if (!(await answersAsKuma(controlPlane))) return undefined;
  try {
    return (await controlPlane.status())?.kubernetes;
  } catch (error) {
    // The check of the store says so already.
    if (error instanceof UserError) return undefined;
    throw error;
  }
}

/** A check of one part of the report, which is omitted while the control plane does not know the part. */
function reported<Part>(
  id: string,
  description: string,
  partOf: (state: KubernetesState) => Part | undefined,
  run: (part: Part, state: KubernetesState, context: CheckContext) => ReturnType<Check["run"]>,
): Check {
  return {
    id,
    anchor: `check-${id}`,
    description,
    async applies(context) {
      const state = await reportedBy(context);
      return state !== undefined && partOf(state) !== undefined;
    },
    async run(context) {
      const state = await reportedBy(context);
      if (state === undefined) return success();
      const part = partOf(state);
      return part === undefined ? success() : run(part, state, context);
    },
  };
}

const installAgain =
  "apply what `kumactl install control-plane` prints, with the flags and certificates of this installation: see README.md#upgrade-on-kubernetes";

const sees = reported(
  "kubernetes-report",
  "the control plane can ask the API server",
  (state) => state,
  ({ unknown, systemNamespace }) =>
    unless(
      unknown.map((reason) => `the control plane could not find out everything about itself: ${reason}`),
      {
        fix: "check that the API server answers and that the control plane has its permissions; its log has the same errors",
        detail: `namespace ${systemNamespace}`,
      },
    ),
);

const permissions = reported(
  "kubernetes-permissions",
  "the control plane has its permissions in Kubernetes",
  ({ denied }) => denied,
  (denied) =>
    unless(
      denied.map((permission) => `it may not ${permission}`),
      { fix: `${installAgain}; its ClusterRole, Role and their bindings are part of that` },
    ),
);

/** A holder that is alive renews its Lease every two seconds. Clocks of nodes may differ by a little. */
const staleAfter = (durationMs: number) => Math.max(30_000, 2 * durationMs);

const leader = reported(
  "kubernetes-leader",
  "one control plane leads",
  (state) => state.leader,
  ({ lease, holder, ageMs, durationMs }, { systemNamespace, instance }) => {
    const meaning = "no Dataplanes of pods are made or updated meanwhile";
    const fix =
      `look into the logs of the control planes, which say why they can't renew the Lease: ` +
      `\`kubectl -n ${systemNamespace} logs -l app=kuma-control-plane\``;
    if (holder === "") {
      return unless([`no control plane holds the Lease ${systemNamespace}/${lease}: ${meaning}`], { fix });
    }
    const stale = ageMs === undefined || ageMs > staleAfter(durationMs);
    const age = ageMs === undefined ? "never" : `${formatDuration(Math.round(ageMs / 1_000) * 1_000)} ago`;
    const reason =
      `the Lease ${systemNamespace}/${lease} of instance ${holder} was last renewed ${age}: ${meaning}. ` +
      "Or the clocks of the nodes differ";
    const detail = holder === instance ? `${holder}, which answers here` : holder;
    return unless(stale ? [reason] : [], { fix, detail });
  },
);

const nameOf = ({ webhook, configuration }: WebhookState) =>
  webhook === "" ? `the configuration ${configuration}` : `webhook ${webhook} (${configuration})`;

const webhooks = reported(
  "kubernetes-webhooks",
  "API servers can call the webhooks of Kuma",
  (state) => state.webhooks,
  (found) =>
    unless(
      found.flatMap((webhook) =>
        webhook.problem === undefined
          ? []
          : [`${nameOf(webhook)}${webhook.server === "" ? "" : ` of ${webhook.server}`}: ${webhook.problem}`],
      ),
      {
        fix:
          `for what does not exist, ${installAgain}. A caBundle that does not fit is put right by the leading control ` +
          "plane within an hour, and when it starts, if the certificate is one that kumactl made; otherwise put the CA of " +
          "whoever issued it into the caBundle",
        detail: `${found.length} webhooks`,
      },
    ),
);

/** The worst that the time says about a certificate. */
function expiry(webhook: WebhookState, now: Date): { readonly over: boolean; readonly reason: string } | undefined {
  const { validity, source } = webhook;
  if (validity === undefined) return undefined;
  const { notBefore, notAfter } = validity;
  const what = `the certificate of ${nameOf(webhook)}, as ${source} has it,`;
  if (notAfter <= now) return { over: true, reason: `${what} expired at ${notAfter.toISOString()}` };
  if (notBefore > now) return { over: true, reason: `${what} is not valid before ${notBefore.toISOString()}` };
  const left = notAfter.getTime() - now.getTime();
  if (left > noticeFor(notAfter.getTime() - notBefore.getTime())) return undefined;
  return { over: false, reason: `${what} expires in ${formatDuration(left)}` };
}

const certificates = reported(
  "kubernetes-certificates",
  "the certificates of the webhooks are valid",
  (state) => (state.webhooks?.some(({ validity }) => validity !== undefined) ? state.webhooks : undefined),
  async (found, { systemNamespace }, context) => {
    const now = await timeAt(context);
    const problems = found.flatMap((webhook) => expiry(webhook, now) ?? []);
    const ends = found.flatMap(({ validity }) => validity?.notAfter.toISOString() ?? []).sort();
    return unless(
      problems.map(({ reason }) => reason),
      {
        result: problems.some(({ over }) => over) ? "error" : "warning",
        fix:
          "the leading control plane renews certificates that kumactl made after four fifths of their validity, unless the " +
          `Secret says otherwise: its log names the reason (\`kubectl -n ${systemNamespace} logs -l app=kuma-control-plane\`). ` +
          "Those of others are renewed by whoever issued them",
        ...(ends[0] === undefined ? {} : { detail: `until ${ends[0]}` }),
      },
    );
  },
);

const objects = reported(
  "kubernetes-objects",
  "every custom resource of Kuma is valid",
  ({ skipped }) => skipped,
  ({ total, objects: shown }) => {
    const more = total - shown.length;
    const named = shown.map(({ type, name, partial, reason }) => {
      return `${type} ${name} has ${partial ? "effect only where it is valid" : "no effect"}: ${reason}`;
    });
    return unless([...named, ...(more > 0 ? [`and ${more} more`] : [])], {
      result: more <= 0 && shown.every(({ partial }) => partial) ? "warning" : "error",
      fix:
        "correct them with `kubectl edit` or in the files that they come from; they were stored while the webhook did not " +
        "answer. What was readable of an object before stays in effect until the control planes restart",
    });
  },
);

export const kubernetesChecks: readonly Check[] = [sees, permissions, leader, webhooks, certificates, objects];
