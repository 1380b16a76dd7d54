import { type Check, unless } from "./check.js";
import { answersAsKuma } from "./control-plane.js";

/** Fails when a Dataplane was deleted or the control plane's store was lost. */
const registered: Check = {
  id: "registered",
  anchor: "check-registered",
  description: "every connected proxy has a Dataplane",
  applies: async ({ controlPlane }) =>
    (await answersAsKuma(controlPlane)) && (await controlPlane.unregistered()).length > 0,
  async run({ controlPlane }) {
    const proxies = await controlPlane.unregistered();
    return unless(
      proxies.map(
        ({ mesh, name, connectTime }) =>
          `a proxy is connected as "${name}" in mesh "${mesh}", since ${connectTime}, and there is no such Dataplane: ` +
          "it has no configuration, or only its last one, and no other dataplane connects to it",
      ),
      {
        fix:
          "apply its Dataplane again (and its Mesh, if that is gone), and the proxy recovers by itself; or stop its " +
          "kuma-dp, if its service is no longer part of the mesh",
      },
    );
  },
};

export const registrationChecks: readonly Check[] = [registered];
