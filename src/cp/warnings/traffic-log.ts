import { backendOf } from "../../resources/logging.js";
import { meshType } from "../../resources/mesh.js";
import { rulesOf } from "../../resources/rules.js";
import type { TrafficLog } from "../../resources/traffic-log.js";
import { readStored } from "../../store/read.js";
import { type ChangeWarnings, quotedNames } from "./change.js";

/** Warns about backends that the mesh does not have. */
export const logWarnings: ChangeWarnings<TrafficLog> = async ({ key, spec }, store) => {
  const stored = await readStored(store, meshType, { mesh: key.mesh, name: key.mesh });
  const mesh = stored?.spec ?? {};
  const wanted = new Set(rulesOf(spec).map(({ conf }) => conf?.backend ?? ""));
  const missing = [...wanted].filter((backend) => backendOf(backend, mesh) === undefined);
  const named = missing.filter((backend) => backend !== "");
  return [
    ...(missing.includes("")
      ? [
          `a rule names no backend, and mesh "${key.mesh}" has no "logging.defaultBackend": it logs nothing until the mesh has one`,
        ]
      : []),
    ...(named.length > 0
      ? [
          `mesh "${key.mesh}" has no logging backend ${quotedNames(named)}: rules that name it log nothing until the mesh has it`,
        ]
      : []),
  ];
};
