import type { KubeObject } from "../../kubeapi/object.js";
import { crds } from "../../kubernetes/crds.js";
import { objectIn, objectsIn, textIn } from "../../kubernetes/fields.js";
import { sidecarName } from "../../kubernetes/injection/containers.js";
import { controlPlaneApp, injectorApp } from "../../kubernetes/manifests/services.js";
import { UserError } from "../../lib/errors.js";
import { registry } from "../../resources/registry.js";
import { type Check, failure, type Outcome, success, unless } from "./check.js";
import type { CheckContext } from "./context.js";
import { answersAsKuma } from "./control-plane.js";
import { differenceIn } from "./difference.js";
import { reportedBy } from "./kubernetes-checks.js";

// What kumactl asks the API server itself, with its user's permissions: that the control plane is down or was never
// installed is seen only from here.

/** Whether the user means a cluster that Kuma is in, or should be. */
async function isMeant(context: CheckContext): Promise<boolean> {
  const { cluster } = context;
  if (cluster.chosen === "flag" || (await reportedBy(context)) !== undefined) return true;
  // A control plane that runs elsewhere has nothing to do with the cluster that the user works with otherwise.
  if (cluster.chosen === undefined || (await answersAsKuma(context.controlPlane))) return false;
  try {
    return await cluster.hasKuma();
  } catch (error) {
    if (error instanceof UserError) return false;
    throw error;
  }
}

async function answers(context: CheckContext): Promise<boolean> {
  if (!(await isMeant(context))) return false;
  try {
    await context.cluster.server();
    return true;
  } catch (error) {
    if (error instanceof UserError) return false;
    throw error;
  }
}

const api: Check = {
  id: "kubernetes-api",
  anchor: "check-kubernetes-api",
  description: "kumactl can ask the API server",
  applies: isMeant,
  async run({ cluster }) {
    const fix =
      "set KUBECONFIG, or give --kubeconfig, to a kubeconfig of this cluster with which `kubectl version` works";
    try {
      const { address, version } = await cluster.server();
      return success(`${address}, ${version}`);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      if (cluster.chosen !== undefined) return failure(error.message, fix);
      const reason = `the CRDs, Deployments and pods of the cluster are not checked: ${error.message}`;
      return { result: "warning", reasons: [reason], fix };
    }
  },
};

/** A check of the cluster, omitted when it can't be asked. Lacking a permission is a warning: others may have it. */
export const ofCluster = (check: Omit<Check, "anchor" | "needs">): Check => ({
  ...check,
  anchor: `check-${check.id}`,
  needs: [api.id],
  applies: async (context) => (await answers(context)) && (await (check.applies ?? (() => true))(context)),
  async run(context) {
    try {
      return await check.run(context);
    } catch (error) {
      if (!(error instanceof UserError) || error.id !== "kubernetes.forbidden") throw error;
      const fix = "run the check with a kubeconfig whose user may read this";
      return { result: "warning", reasons: [`this is not checked: ${error.message}`], fix };
    }
  },
});

/** The namespace of the installation; the usual one when the control plane does not tell. */
export const systemNamespaceOf = async (context: CheckContext): Promise<string> =>
  (await reportedBy(context))?.systemNamespace || "kuma-system";

/** Why a CRD can't be used, or what it lacks. */
function crdProblem(wanted: ReturnType<typeof crds>[number], found: KubeObject | undefined): Outcome | undefined {
  const { name } = wanted.metadata;
  if (found === undefined) return failure(`there is no CRD ${name}`, "");
  const established = objectsIn(objectIn(found.status).conditions).find(({ type }) => type === "Established");
  if (established?.status !== "True") {
    return failure(`the CRD ${name} is not served yet: ${textIn(established?.message) || "it was just made"}`, "");
  }
  const difference = differenceIn(wanted.spec, found.spec, "spec");
  if (difference === undefined) return undefined;
  const reason = `the CRD ${name} is not as this version has it: ${difference}`;
  return { result: "warning", reasons: [reason], fix: "" };
}

const definitions = ofCluster({
  id: "kubernetes-crds",
  description: "the CRDs are those of this version",
  async run({ cluster }) {
    const all = crds(registry);
    const problems: Outcome[] = [];
    for (const wanted of all) {
      const problem = crdProblem(wanted, await cluster.crd(wanted.metadata.name));
      if (problem !== undefined) problems.push(problem);
    }
    return unless(
      problems.flatMap((problem) => (problem.result === "success" ? [] : problem.reasons)),
      {
        result: problems.some(({ result }) => result === "error") ? "error" : "warning",
        fix: "`kumactl install crds | kubectl apply -f -`, with the newest kumactl of those in use",
        detail: `${all.length} CRDs`,
      },
    );
  },
});

const numberIn = (value: unknown): number => (typeof value === "number" ? value : 0);

/** Why a Deployment does not serve, or not with all of its instances. */
function deploymentProblem(deployment: KubeObject): { readonly none: boolean; readonly reason: string } | undefined {
  const status = objectIn(deployment.status);
  const spec = objectIn(deployment.spec);
  const wanted = typeof spec.replicas === "number" ? spec.replicas : 1;
  const available = numberIn(status.availableReplicas);
  if (available >= wanted && wanted > 0) return undefined;
  const condition = objectsIn(status.conditions).find(
    ({ type, status: value }) => type === "Available" && value !== "True",
  );
  const { namespace = "", name } = deployment.metadata;
  const why = textIn(condition?.message);
  const reason = `${available} of ${wanted} instances of Deployment ${namespace}/${name} are available`;
  return { none: available === 0, reason: why === "" ? reason : `${reason}: ${why}` };
}

const available = ofCluster({
  id: "kubernetes-deployments",
  description: "the control plane and the injector are available",
  async run(context) {
    const namespace = await systemNamespaceOf(context);
    const problems: { readonly none: boolean; readonly reason: string }[] = [];
    for (const name of [controlPlaneApp, injectorApp]) {
      const deployment = await context.cluster.deployment(namespace, name);
      if (deployment === undefined) {
        // A control plane that answers runs somewhere, whatever its Deployment is called.
        if (name === controlPlaneApp && (await reportedBy(context)) !== undefined) continue;
        problems.push({ none: true, reason: `there is no Deployment ${namespace}/${name}` });
        continue;
      }
      const problem = deploymentProblem(deployment);
      if (problem !== undefined) problems.push(problem);
    }
    return unless(
      problems.map(({ reason }) => reason),
      {
        result: problems.some(({ none }) => none) ? "error" : "warning",
        fix:
          `\`kubectl -n ${namespace} describe pods\` shows why instances don't start or don't become ready. While no ` +
          "injector answers, new pods start without sidecar, or wait for it, as its failurePolicy says",
      },
    );
  },
});

/** The part of an image's name after the last colon; undefined without a tag. */
export function tagOf(image: string): string | undefined {
  const [name = ""] = image.split("@");
  const at = name.lastIndexOf(":");
  return at > name.lastIndexOf("/") ? name.slice(at + 1) : undefined;
}

function containerOf(podSpec: unknown, name: string) {
  const { containers, initContainers } = objectIn(podSpec);
  return [...objectsIn(containers), ...objectsIn(initContainers)].find((container) => container.name === name);
}

const podSpecOf = (deployment: KubeObject | undefined) => objectIn(objectIn(deployment?.spec).template).spec;

const sidecarSetting = "KUMA_INJECTOR_SIDECAR_CONTAINER_IMAGE";

/** What of the installation runs another version than the rest. */
export function skewOf(parts: {
  /** As the control plane tells; undefined when it does not answer. */
  readonly version: string | undefined;
  readonly controlPlane: KubeObject | undefined;
  readonly injector: KubeObject | undefined;
  readonly pods: readonly KubeObject[];
}): readonly string[] {
  const reasons: string[] = [];
  const imageIn = (deployment: KubeObject | undefined, name: string) =>
    textIn(containerOf(podSpecOf(deployment), name)?.image);
  const [ownImage, injectorImage] = [
    imageIn(parts.controlPlane, "control-plane"),
    imageIn(parts.injector, "kuma-injector"),
  ];
  const [own, injector] = [tagOf(ownImage), tagOf(injectorImage)];
  const { version } = parts;
  // A tag of somebody's own choice tells no version.
  if (version !== undefined && own !== undefined && /^v?\d+\.\d+\.\d+/.test(own) && own.replace(/^v/, "") !== version) {
    reasons.push(`the control plane that answers is ${version}, its Deployment has the image ${ownImage}`);
  }
  if (own !== undefined && injector !== undefined && own !== injector) {
    reasons.push(`the injector has the image ${injectorImage}, the control plane ${ownImage}`);
  }
  const env = objectsIn(containerOf(podSpecOf(parts.injector), "kuma-injector")?.env);
  const injected = textIn(env.find(({ name }) => name === sidecarSetting)?.value);
  const sidecar = tagOf(injected);
  if (sidecar !== undefined && injector !== undefined && sidecar !== injector) {
    reasons.push(`the injector has the image ${injectorImage} and gives pods sidecars of ${injected}`);
  }
  if (injected === "") return reasons;
  const others = new Map<string, string[]>();
  for (const { metadata, spec } of parts.pods) {
    const image = textIn(containerOf(spec, sidecarName)?.image);
    if (image === "" || image === injected) continue;
    others.set(image, [...(others.get(image) ?? []), `${metadata.namespace}/${metadata.name}`]);
  }
  for (const [image, names] of others) {
    const more = names.length > 5 ? `, and ${names.length - 5} more` : "";
    const shown = names.slice(0, 5).join(", ");
    reasons.push(`sidecars run ${image}, new pods get ${injected}: ${shown}${more}`);
  }
  return reasons;
}

const versions = ofCluster({
  id: "kubernetes-versions",
  description: "control plane, injector and sidecars have the same version",
  async run(context) {
    const { cluster, controlPlane } = context;
    const namespace = await systemNamespaceOf(context);
    const reasons = skewOf({
      version: (await reportedBy(context)) && (await controlPlane.index()).version,
      controlPlane: await cluster.deployment(namespace, controlPlaneApp),
      injector: await cluster.deployment(namespace, injectorApp),
      pods: await cluster.pods(),
    });
    return unless(reasons, {
      result: "warning",
      fix:
        "finish the upgrade: first the CRDs, then the control plane and the injector, and then restart the pods " +
        "(`kubectl rollout restart`), which get the sidecar of the new version: see README.md#upgrade-on-kubernetes",
    });
  },
});

export const installationChecks: readonly Check[] = [api, definitions, available, versions];
