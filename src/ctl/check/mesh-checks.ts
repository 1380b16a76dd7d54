import { describeAuthority } from "../authority.js";
import { type Check, failure, success } from "./check.js";

/** How many names a line has room for. */
const namedMeshes = 5;

const mesh: Check = {
  id: "mesh",
  anchor: "check-mesh",
  description: "the mesh exists",
  needs: ["kuma"],
  async run({ controlPlane, scope }) {
    const meshes = await controlPlane.meshes();
    if (meshes.length > namedMeshes) {
      return success(`${meshes.length}, ${meshes.filter(({ mtls }) => mtls).length} of them with mTLS`);
    }
    if (meshes.length > 0) {
      return success(meshes.map(({ name, mtls }) => `${name}: mTLS ${mtls ? "on" : "off"}`).join(", "));
    }
    const name = scope.mesh ?? "default";
    const reason = scope.mesh === undefined ? "there is no mesh" : `there is no mesh "${name}"`;
    const fix = `make it: \`printf 'type: Mesh\\nname: ${name}\\n' | kumactl apply -f -\`; \`kumactl get meshes\` shows those that exist`;
    return failure(reason, fix);
  },
};

const authority: Check = {
  id: "authority",
  anchor: "check-authority",
  description: "every certificate authority can issue certificates",
  needs: ["mesh"],
  applies: async ({ controlPlane }) => (await controlPlane.authorities()).length > 0,
  async run({ controlPlane }) {
    const authorities = await controlPlane.authorities();
    const guarded = new Set((await controlPlane.meshes()).filter(({ mtls }) => mtls).map(({ name }) => name));
    const unusable = authorities.filter(({ state }) => state === "unusable");
    if (unusable.length === 0) {
      const rotating = authorities.filter(({ state }) => state !== "active");
      const states = rotating.map((status) => `${status.mesh}: ${describeAuthority(status)}`);
      return success(states.length === 0 ? undefined : states.join("; "));
    }
    return {
      // Without mTLS nobody asks for a certificate, until it is switched on.
      result: unusable.some((status) => guarded.has(status.mesh)) ? "error" : "warning",
      reasons: unusable.map((status) => `mesh "${status.mesh}" issues no certificates, ${describeAuthority(status)}`),
      fix:
        "restart the control plane if the authority is missing, as it then makes one; one that can't be read has to " +
        "come back from a backup of the store, or with a new mesh",
    };
  },
};

export const meshChecks: readonly Check[] = [mesh, authority];
