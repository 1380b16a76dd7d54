// How long things may take, in seconds, on a machine that is busy with the rest of the run.

import { drainSeconds } from "./stage.js";

/** From a change until the sidecars that it is about have it. */
export const reachSeconds = 4;
/** A sidecar closes what it drains by a timer of its own, which may be late. */
export const drainedSeconds = drainSeconds + 2;
/** From a sidecar's end until its successor listens: half a second when the machine is idle. */
export const restartSeconds = 6;
/** The penalty of the mesh's passive health check is 1 s; Envoy looks once a second whether one is over. */
export const penaltySeconds = 2;
