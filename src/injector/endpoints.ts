import { admissionEndpoint } from "../kubernetes/admission-endpoint.js";
import type { AdmissionRequest, Verdict } from "../kubernetes/admission-review.js";
import { objectIn, textIn } from "../kubernetes/fields.js";
import { injectionFor, verdictOf } from "../kubernetes/injection/inject.js";
import type { InjectionOptions } from "../kubernetes/injection/options.js";
import type { Logger } from "../lib/logger.js";
import type { Endpoint } from "../net/endpoints.js";
import { type Metrics, metricsType } from "./metrics.js";

interface Options {
  /** What pods are injected with at present. */
  readonly injection: () => InjectionOptions;
  readonly ready: () => boolean;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

/** The pod as a person knows it: one without a name yet has the beginning of it. */
function shownPod({ namespace, object }: AdmissionRequest) {
  const { name, generateName } = objectIn(objectIn(object).metadata);
  return { namespace, pod: textIn(name) || `${textIn(generateName)}*` };
}

/** Everything that kuma-injector serves. */
export function injectorEndpoints({ injection, ready, metrics, logger }: Options): readonly Endpoint[] {
  function review(request: AdmissionRequest): Verdict {
    const decided = injectionFor(request, injection());
    const { dryRun } = request;
    switch (decided.kind) {
      case "injected":
        metrics.decided("injected");
        logger.info("injected a sidecar", { ...shownPod(request), ...(dryRun ? { dryRun } : {}) });
        break;
      case "skipped":
        metrics.decided(decided.reason);
        logger.debug("left a pod as it is", { ...shownPod(request), reason: decided.reason });
        break;
      case "refused":
        metrics.decided("refused");
        logger.info("refused a pod", { ...shownPod(request), reason: decided.message });
        break;
    }
    return verdictOf(decided);
  }

  const page = (path: string, handle: Endpoint["handle"]): Endpoint => ({
    methods: ["GET"],
    path,
    title: "Could not answer",
    access: "read",
    handle,
  });
  return [
    admissionEndpoint("/inject-sidecar", review, logger, metrics.incidents),
    page("/healthy", () => ({ status: 200 })),
    page("/ready", () => ({ status: ready() ? 200 : 503 })),
    page("/metrics", () => ({ status: 200, headers: { "Content-Type": metricsType }, body: metrics.text() })),
  ];
}
