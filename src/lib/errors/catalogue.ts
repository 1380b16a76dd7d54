import type { Intersection } from "../intersection.js";
import { commandLineErrors } from "./command-line.js";
import type { Parameters, Template } from "./entry.js";
import { grpcErrors } from "./grpc.js";
import { httpErrors, tokenRequestErrors } from "./http.js";
import { identityErrors } from "./identity.js";
import { kubernetesErrors } from "./kubernetes.js";
import { kumactlErrors } from "./kumactl.js";
import { resourceErrors } from "./resources.js";
import { serverErrors } from "./servers.js";
import { settingsErrors } from "./settings.js";
import { sidecarErrors } from "./sidecar.js";

/** Errors that end a program, by area: a new area is a table of its own and a line here. */
const failing = [
  commandLineErrors,
  settingsErrors,
  serverErrors,
  identityErrors,
  resourceErrors,
  kubernetesErrors,
  kumactlErrors,
  sidecarErrors,
] as const;

/** Errors that HTTP servers send, by area. */
const replying = [httpErrors, tokenRequestErrors] as const;

/** Errors that end gRPC calls, by area. */
const ending = [grpcErrors] as const;

/** Ids that occur in more than one area. */
export type Repeated<Areas, Seen = never> = Areas extends readonly [infer First, ...infer Others]
  ? (keyof First & Seen) | Repeated<Others, keyof First | Seen>
  : never;
type None<Ids extends never> = Ids;
export type Unambiguous = None<Repeated<[...typeof failing, ...typeof replying, ...typeof ending]>>;

/** Every user-facing error by its id. Ids are stable: tests and callers compare them, never the wording. */
export const failures: Intersection<(typeof failing)[number]> = Object.assign({}, ...failing);
export const replies: Intersection<(typeof replying)[number]> = Object.assign({}, ...replying);
export const endings: Intersection<(typeof ending)[number]> = Object.assign({}, ...ending);

export type FailureId = keyof typeof failures;
export type ReplyId = keyof typeof replies;
export type EndingId = keyof typeof endings;

/** The parameters of a template. */
export type ParametersOf<Of> = Of extends Template<infer Name> ? Parameters<Name> : never;

/** The arguments that carry the parameters, optional if there are none. */
export type Given<Parameters, More extends unknown[] = []> = keyof Parameters extends never
  ? [parameters?: Parameters, ...more: More]
  : [parameters: Parameters, ...more: More];
