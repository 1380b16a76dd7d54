import { mayLogTo } from "../../lib/log-directories.js";
import { type Candidate, candidates } from "../../policy/matching.js";
import { backendOf, backendsOf, loggedFile } from "../../resources/logging.js";
import { rulePath } from "../../resources/rules.js";
import { type TrafficLog, trafficLogType } from "../../resources/traffic-log.js";
import { identifyingInbound } from "../../view/proxy.js";
import { accessLogs, isUsable, type Logging } from "../access-logs.js";
import { type Ignored, outsideText } from "../ignored.js";
import { policyEffect } from "./effect.js";

/** Explains why a rule logs nothing. */
function silentRule({ policy, index, conf }: Candidate<TrafficLog, TrafficLog["conf"]>): Ignored {
  const path = rulePath(policy.spec, index);
  return {
    policy,
    field: `${path === undefined ? "" : `${path}.`}conf.backend`,
    reason: conf?.backend
      ? `the mesh has no logging backend ${JSON.stringify(conf.backend)}`
      : "the mesh has no default backend",
  };
}

/** The source of a Dataplane without a usable inbound. */
const nobody = { address: "-", service: "unknown" };

/** Outbounds log their connections to the backends that the mesh defines. */
export const trafficLogEffect = policyEffect(trafficLogType, {
  outbound: {
    parametersOf(table, service, { proxy, mesh, placement, ignored }): Logging | undefined {
      const rules = candidates(table, proxy.inbounds, service);
      if (mesh === undefined || rules.length === 0) return undefined;
      for (const rule of rules)
        if (backendOf(rule.conf?.backend, mesh.spec) === undefined) ignored.push(silentRule(rule));
      const backends = backendsOf(rules, mesh.spec).filter((backend) => {
        const field = `logging.backends[${mesh.spec.logging?.backends?.indexOf(backend)}]`;
        const file = loggedFile(backend);
        if (!isUsable(backend)) ignored.push({ policy: mesh, field, reason: "no Envoy would take it" });
        else if (file === undefined || mayLogTo(placement.logDirectories, file)) return true;
        else ignored.push({ policy: mesh, field: `${field}.file.path`, reason: outsideText(file) });
        return false;
      });
      if (backends.length === 0) return undefined;
      const source = identifyingInbound(proxy.inbounds) ?? nobody;
      const traffic = { sourceAddress: source.address, sourceService: source.service, destinationService: service };
      return { backends, traffic };
    },
    addTo(listener, logging) {
      listener.accessLog.push(...accessLogs(logging));
    },
  },
});
