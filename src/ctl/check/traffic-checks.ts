import { type Check, unless } from "./check.js";
import type { CheckContext, FoundProblem } from "./context.js";

interface Kind {
  readonly id: string;
  readonly description: string;
  /** The API's codes for the problem. */
  readonly codes: readonly string[];
  readonly result: "warning" | "error";
  readonly fix: string;
}

/** The kinds of problems that the control plane finds in its meshes, grouped by how to fix them. */
const kinds: readonly Kind[] = [
  {
    id: "destinations",
    description: "every outbound leads to a service with instances",
    codes: ["no-endpoint", "nowhere", "unusable", "unreachable"],
    result: "error",
    fix:
      "compare the service of the outbound, and the tags of the TrafficRoute that sends there, with what " +
      "`kumactl inspect dataplanes` shows; `kumactl explain traffic --from=A --to=B` shows the way",
  },
  {
    id: "permissions",
    description: "a TrafficPermission allows every outbound",
    codes: ["not-permitted"],
    result: "warning",
    fix: "`kumactl explain traffic --from=A --to=B` prints the permission to apply; ignore the warning if it is missing on purpose",
  },
  {
    id: "templates",
    description: "no ProxyTemplate omits a listener",
    codes: ["no-listener"],
    result: "warning",
    fix:
      "add `default-proxy` to the imports of the ProxyTemplate, which keeps the generated resources; " +
      "`kumactl inspect dataplane NAME --policies` shows which one it is",
  },
  {
    id: "logs",
    description: "every TrafficLog is written",
    codes: ["not-logged", "no-backend"],
    result: "warning",
    fix:
      "name a backend that the Mesh has; for a file, set KUMA_DATAPLANE_LOG_DIRECTORIES of the kuma-dp to a directory " +
      "above it, and restart the kuma-dp",
  },
  {
    id: "policies",
    description: "every policy matches a dataplane",
    codes: ["idle-policy"],
    result: "warning",
    fix:
      "compare the tags in its selectors with what `kumactl inspect dataplanes` shows; ignore the warning for a " +
      "policy whose dataplanes don't exist yet",
  },
];

const found = async ({ controlPlane }: CheckContext, codes: readonly string[]): Promise<readonly FoundProblem[]> =>
  ((await controlPlane.problems()) ?? []).filter(({ code }) => codes.includes(code));

/** Skipped for meshes without dataplanes, and when the control plane does not report problems. */
const applies = async ({ controlPlane }: CheckContext): Promise<boolean> =>
  (await controlPlane.problems()) !== undefined && (await controlPlane.proxies()).length > 0;

function trafficCheck({ id, description, codes, result, fix }: Kind): Check {
  return {
    id,
    anchor: `check-${id}`,
    description,
    needs: ["mesh"],
    applies,
    async run(context) {
      const problems = await found(context, codes);
      return unless(
        problems.map(({ mesh, message }) => `mesh "${mesh}": ${message}`),
        { result, fix },
      );
    },
  };
}

export const trafficChecks: readonly Check[] = kinds.map(trafficCheck);
