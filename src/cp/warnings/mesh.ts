import type { Steps } from "../../lib/steps.js";
import { inSlices } from "../../net/slices.js";
import { backendOf } from "../../resources/logging.js";
import type { Mesh } from "../../resources/mesh.js";
import { mtlsEnabled } from "../../resources/mesh.js";
import { rulesOf } from "../../resources/rules.js";
import { type TrafficLog, trafficLogType } from "../../resources/traffic-log.js";
import { trafficPermissionType } from "../../resources/traffic-permission.js";
import type { Stored } from "../../store/store.js";
import { type Change, type ChangeWarnings, quotedNames } from "./change.js";

function mtlsOff({ key, spec, before }: Change<Mesh>): string[] {
  if (!mtlsEnabled(before) || mtlsEnabled(spec)) return [];
  return [
    `mTLS is SWITCHED OFF for mesh "${key.name}", where it was on: new connections pass unencrypted, and no ` +
      "TrafficPermission is enforced any more. A Mesh is replaced as a whole: to keep mTLS on, apply it with " +
      '"mtls: {enabled: true}"',
  ];
}

/** TrafficLogs that log to a backend now, and to none with the new spec; with those backends. */
function* silenced(
  logs: readonly Stored<TrafficLog>[],
  spec: Mesh,
  before: Mesh,
): Steps<{ names: string[]; backends: string[] }> {
  const [names, backends] = [new Set<string>(), new Set<string>()];
  for (const { name, spec: log } of logs) {
    for (const { conf } of rulesOf(log)) {
      yield;
      const logged = backendOf(conf?.backend, before);
      if (logged === undefined || backendOf(conf?.backend, spec) !== undefined) continue;
      names.add(name);
      backends.add(logged.name ?? "");
    }
  }
  return { names: [...names], backends: [...backends] };
}

/** Warns about features that the new Mesh disables, and about enabling mTLS without permissions for any traffic. */
export const meshWarnings: ChangeWarnings<Mesh> = async (change, store) => {
  const { key, spec, before } = change;
  const warnings = mtlsOff(change);
  if (before === undefined) return warnings;
  if (!mtlsEnabled(before) && mtlsEnabled(spec) && (await store.list(trafficPermissionType, key.name)).length === 0) {
    warnings.push(
      `mTLS is switched on for mesh "${key.name}", which has no TrafficPermission: no connection is allowed until one is applied`,
    );
  }
  if ((before.logging?.backends ?? []).length > 0) {
    const logs = await store.list(trafficLogType, key.name);
    const { names, backends } = await inSlices(silenced(logs, spec, before));
    if (names.length > 0) {
      warnings.push(
        `the logs of TrafficLog ${quotedNames(names)} are no longer sent to backend ${quotedNames(backends)}: the mesh no longer has it, ` +
          "or not as its default",
      );
    }
  }
  return warnings;
};
