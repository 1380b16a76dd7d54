import type { Cause } from "../../lib/errors.js";
import type { AdmissionRequest, Verdict } from "../admission-review.js";
import {
  injectedAnnotation,
  meshAnnotation,
  redirectPortAnnotation,
  transparentProxyingAnnotation,
} from "../annotations.js";
import { objectIn } from "../fields.js";
import { type AddOperation, add, pointer } from "../json-patch.js";
import {
  excludeInboundAnnotation,
  excludeOutboundAnnotation,
  injectionAnnotation,
  optOutValues,
  readMesh,
  readPorts,
} from "./annotations.js";
import { initContainer, initName, type PodFacts, sidecarContainer, sidecarName, volumesOf } from "./containers.js";
import { oddities } from "./oddities.js";
import type { InjectionOptions } from "./options.js";
import { type RawPod, readRawPod } from "./pod.js";

/** Why a pod is admitted as it is. */
export const skipReasons = [
  /** It is not being created. */
  "operation",
  /** Its annotation or label says so. */
  "opted-out",
  /** It has a sidecar. */
  "injected",
  /** Its connections are those of its machine, which must not be redirected. */
  "host-network",
  /** A mirror of a pod that kubelet runs from a file: changing the mirror changes nothing. */
  "static",
  /** There are no Linux containers on its machine. */
  "windows",
] as const;
export type SkipReason = (typeof skipReasons)[number];

export type Injection =
  | { readonly kind: "skipped"; readonly reason: SkipReason }
  | { readonly kind: "refused"; readonly code: 400 | 422; readonly message: string; readonly causes: readonly Cause[] }
  | { readonly kind: "injected"; readonly patch: readonly AddOperation[]; readonly warnings: readonly string[] };

/** kubelet puts it on the mirrors of static pods. */
const mirrorAnnotation = "kubernetes.io/config.mirror";

/** Why the injector leaves the pod as it is; undefined if it would add a sidecar. */
export function skipReason({ annotations = {}, labels = {}, spec, ...pod }: RawPod): SkipReason | undefined {
  if (optOutValues.has(annotations[injectionAnnotation]) || optOutValues.has(labels[injectionAnnotation])) {
    return "opted-out";
  }
  const containers = [...pod.containers, ...(pod.initContainers ?? [])];
  if (containers.some(({ name }) => name === sidecarName || name === initName)) return "injected";
  if (spec.hostNetwork === true) return "host-network";
  if (Object.hasOwn(annotations, mirrorAnnotation)) return "static";
  return objectIn(spec.os).name === "windows" ? "windows" : undefined;
}

/** A name that no volume of the pod has. */
function freeName(wanted: string, { volumes = [] }: RawPod): string {
  const taken = new Set(volumes.map(({ name }) => name));
  let name = wanted;
  for (let number = 2; taken.has(name); number += 1) name = `${wanted}-${number}`;
  return name;
}

function readFacts(pod: RawPod): PodFacts | { readonly annotation: string; readonly problem: string } {
  const { annotations = {} } = pod;
  const mesh = readMesh(annotations);
  if ("problem" in mesh) return mesh;
  const inbound = readPorts(annotations, excludeInboundAnnotation);
  if ("problem" in inbound) return inbound;
  const outbound = readPorts(annotations, excludeOutboundAnnotation);
  if ("problem" in outbound) return outbound;
  return {
    mesh: mesh.value,
    excludedInbound: inbound.value,
    excludedOutbound: outbound.value,
    volumes: {
      token: freeName("kuma-token", pod),
      sidecarTmp: freeName("kuma-sidecar-tmp", pod),
      initTmp: freeName("kuma-init-tmp", pod),
    },
  };
}

function annotate(pod: RawPod, written: Readonly<Record<string, string>>): AddOperation[] {
  if (pod.metadata === undefined) return [add("/metadata", { annotations: written })];
  if (pod.annotations === undefined) return [add("/metadata/annotations", written)];
  return Object.entries(written).map(([name, value]) => add(pointer("metadata", "annotations", name), value));
}

/** Appends to a list of the spec, which is added as a whole where the pod has none: a patch can't append to nothing. */
function append(list: "containers" | "initContainers" | "volumes", pod: RawPod, values: readonly object[]) {
  if (pod[list] === undefined) return [add(pointer("spec", list), values)];
  return values.map((value) => add(pointer("spec", list, "-"), value));
}

/** Inserts before the pod's own init containers, which so have the sidecar's help. */
function insertFirst(pod: RawPod, values: readonly object[]): AddOperation[] {
  if (pod.initContainers === undefined) return append("initContainers", pod, values);
  return values.map((value, index) => add(pointer("spec", "initContainers", index), value));
}

function patchOf(pod: RawPod, facts: PodFacts, options: InjectionOptions): AddOperation[] {
  const init = initContainer(options, facts);
  const sidecar = sidecarContainer(options, facts);
  const containers = options.nativeSidecar
    ? insertFirst(pod, [init, sidecar])
    : [...append("containers", pod, [sidecar]), ...append("initContainers", pod, [init])];
  return [
    ...annotate(pod, {
      [meshAnnotation]: facts.mesh,
      [injectedAnnotation]: "true",
      [transparentProxyingAnnotation]: "enabled",
      [redirectPortAnnotation]: String(options.sidecar.redirectPort),
    }),
    ...append("volumes", pod, volumesOf(facts.volumes)),
    ...containers,
  ];
}

/**
 * Decides about a pod as its creator sent it. The patch only adds: fields that this version does not know stay as they
 * are. A pod that has its sidecar is skipped, so that being asked twice is harmless.
 */
export function inject(object: unknown, options: InjectionOptions): Injection {
  const pod = readRawPod(object);
  if (typeof pod === "string") {
    return { kind: "refused", code: 400, message: `this is no pod that can be read: ${pod}`, causes: [] };
  }
  const reason = skipReason(pod);
  if (reason !== undefined) return { kind: "skipped", reason };
  const facts = readFacts(pod);
  if ("problem" in facts) {
    const { annotation, problem } = facts;
    const causes = [{ field: `metadata.annotations["${annotation}"]`, message: problem }];
    return { kind: "refused", code: 422, message: `the annotation ${annotation} is invalid: ${problem}`, causes };
  }
  return { kind: "injected", patch: patchOf(pod, facts, options), warnings: oddities(pod, options.sidecar) };
}

/** As `inject`, for the request that an API server sends. */
export function injectionFor(request: AdmissionRequest, options: InjectionOptions): Injection {
  if (request.operation !== "CREATE" || request.subResource !== "") return { kind: "skipped", reason: "operation" };
  return inject(request.object, options);
}

/** What the API server is answered. */
export function verdictOf(injection: Injection): Verdict {
  switch (injection.kind) {
    case "skipped":
      return { allowed: true };
    case "injected":
      return { allowed: true, patch: injection.patch, warnings: injection.warnings };
    case "refused": {
      const { code, message, causes } = injection;
      return { allowed: false, code, message, causes };
    }
  }
}
