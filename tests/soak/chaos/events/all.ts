import type { ChaosEvent } from "../event.js";
import { applicationEvents } from "./applications.js";
import { certificateEvents } from "./certificates.js";
import { controlPlaneEvents } from "./control-plane.js";
import { floodEvents } from "./floods.js";
import { mtlsEvents } from "./mtls.js";
import { policyEvents } from "./policies.js";
import { portEvents } from "./ports.js";
import { reloadEvents } from "./reloads.js";
import { sidecarEvents } from "./sidecars.js";

/** Everything that the mesh goes through. A feature adds its events to one of these lists, or a list of its own. */
export const events: readonly ChaosEvent[] = [
  ...controlPlaneEvents,
  ...sidecarEvents,
  ...floodEvents,
  ...certificateEvents,
  ...policyEvents,
  ...mtlsEvents,
  ...applicationEvents,
  ...reloadEvents,
  ...portEvents,
];
