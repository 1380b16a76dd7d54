import { commandLineErrors } from "./command-line.js";
import type { Parameters, Template } from "./entry.js";
import { identityErrors } from "./identity.js";
import { kumactlErrors } from "./kumactl.js";
import { resourceErrors } from "./resources.js";
import { serverErrors } from "./servers.js";
import { settingsErrors } from "./settings.js";
import { sidecarErrors } from "./sidecar.js";

/** The catalogue, by area: an area is a file, and a line here. */
const areas = [
  commandLineErrors,
  settingsErrors,
  serverErrors,
  identityErrors,
  resourceErrors,
  kumactlErrors,
  sidecarErrors,
] as const;

/** The ids that several areas have. */
export type Repeated<Areas, Seen = never> = Areas extends readonly [infer First, ...infer Others]
  ? (keyof First & Seen) | Repeated<Others, keyof First | Seen>
  : never;
type Distinct<Areas, Ids extends never = never> = [Areas, Ids];
type Areas = Distinct<typeof areas, Repeated<typeof areas>>[0];

type Merged<Union> = (Union extends unknown ? (area: Union) => void : never) extends (area: infer All) => void
  ? All
  : never;

/** Every user-facing error by its id, which is stable: tests and callers compare it, never the wording. */
export const failures: Merged<Areas[number]> = Object.assign({}, ...areas);

export type FailureId = keyof typeof failures;

/** The parameters of a template. */
export type ParametersOf<Of> = Of extends Template<infer Name> ? Parameters<Name> : never;
