import { describeAuthority } from "../authority.js";
import { type Check, failure, success, unless } from "./check.js";
import type { ControlPlane } from "./context.js";
import { timeAt } from "./control-plane.js";

/** Most meshes to name in a line. */
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
    const fix = `create it: \`printf 'type: Mesh\\nname: ${name}\\n' | kumactl apply -f -\`; \`kumactl get meshes\` shows those that exist`;
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
    const withMtls = new Set((await controlPlane.meshes()).filter(({ mtls }) => mtls).map(({ name }) => name));
    const unusable = authorities.filter(({ state }) => state === "unusable");
    if (unusable.length === 0) {
      const rotating = authorities.filter(({ state }) => state !== "active");
      const states = rotating.map((status) => `${status.mesh}: ${describeAuthority(status)}`);
      return success(states.length === 0 ? undefined : states.join("; "));
    }
    return {
      // Without mTLS nobody requests a certificate yet.
      result: unusable.some((status) => withMtls.has(status.mesh)) ? "error" : "warning",
      reasons: unusable.map((status) => `mesh "${status.mesh}" issues no certificates, ${describeAuthority(status)}`),
      fix:
        "if the authority is missing, restart the control plane, which then creates one; if it can't be read, restore it " +
        "from a backup of the store, or move its dataplanes to a new mesh",
    };
  },
};

/** A rotation takes as long as certificates live: a month by default. */
const rootNoticeMs = 60 * 24 * 3_600_000;

const root: Check = {
  id: "authority-validity",
  anchor: "check-authority-validity",
  description: "the root certificate of every mesh with mTLS is valid",
  needs: ["mesh"],
  applies: async ({ controlPlane }) => (await signingRoots(controlPlane)).length > 0,
  async run({ controlPlane, machine }) {
    const now = await timeAt({ machine, controlPlane });
    const roots = await signingRoots(controlPlane);
    const broken = roots.flatMap(({ mesh: name, notBefore, notAfter }) => {
      const meaning = "peers reject every certificate that it signed";
      if (notAfter <= now) return [`the root of mesh "${name}" expired at ${notAfter.toISOString()}: ${meaning}`];
      if (notBefore <= now) return [];
      return [`the root of mesh "${name}" is not valid before ${notBefore.toISOString()}: ${meaning}`];
    });
    const fix =
      "`kumactl manage ca rotate --mesh MESH` creates a new root, which signs as soon as all connected dataplanes " +
      "trust it; if a root is not valid yet, check the clock of the control plane";
    if (broken.length > 0) return unless(broken, { fix });
    const ending = roots
      .filter(({ notAfter }) => notAfter.getTime() - now.getTime() < rootNoticeMs)
      .map(({ mesh: name, notAfter }) => `the root of mesh "${name}" expires at ${notAfter.toISOString()}`);
    return unless(ending, { result: "warning", fix });
  },
};

/** The signing roots of meshes with mTLS, as far as the control plane reports them. */
async function signingRoots(controlPlane: ControlPlane) {
  const withMtls = new Set((await controlPlane.meshes()).filter(({ mtls }) => mtls).map(({ name }) => name));
  return (await controlPlane.authorities()).flatMap(({ mesh: name, signing }) =>
    withMtls.has(name) && signing !== undefined ? [{ mesh: name, ...signing }] : [],
  );
}

export const meshChecks: readonly Check[] = [mesh, authority, root];
