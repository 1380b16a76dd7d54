import type { Cause, UserError } from "../../lib/errors.js";
import { errorReply, type HttpReply } from "../../net/exchange.js";

/** The `title` of error bodies: the operation that failed. */
export const titles = {
  retrieve: "Could not retrieve a resource",
  list: "Could not retrieve resources",
  retrieveOverview: "Could not retrieve a dataplane overview",
  listOverviews: "Could not retrieve dataplane overviews",
  retrieveAuthority: "Could not retrieve a certificate authority",
  listAuthorities: "Could not retrieve certificate authorities",
  rotateAuthority: "Could not rotate a certificate authority",
  inspectDataplane: "Could not inspect a dataplane",
  explainTraffic: "Could not explain traffic",
  findProblems: "Could not look for problems",
  process: "Could not process a resource",
  find: "Could not find a resource",
  create: "Could not create a resource",
  update: "Could not update a resource",
  delete: "Could not delete a resource",
} as const;

export type Title = (typeof titles)[keyof typeof titles];

/** The Retry-After for an unavailable store, in seconds. */
const retryAfterSeconds = "5";

/**
 * Maximum reported causes: a body of a megabyte may have a hundred thousand errors, and nobody fixes more than these at
 * once.
 */
const reportedCauses = 200;

function shortened(causes: readonly Cause[]): readonly Cause[] {
  const [next] = causes.slice(reportedCauses);
  if (next === undefined) return causes;
  const others = `and ${causes.length - reportedCauses} more problems like these`;
  return [...causes.slice(0, reportedCauses), { field: next.field, message: others }];
}

/**
 * Every error response of the HTTP API, besides those that any of our servers may send (`net/exchange.ts`,
 * `net/http-server.ts`).
 */
export const errors = {
  notFound: (title: Title): HttpReply => errorReply("request.absent", { title }),

  invalid: (title: Title, causes: readonly Cause[]): HttpReply =>
    errorReply("request.resource", { title }, { causes: shortened(causes) }),

  emptyBody: (type: string): HttpReply => errorReply("request.empty", { title: titles.process, type }),

  notJson: (reason: unknown): HttpReply => errorReply("request.not-json", { title: titles.process, reason }),

  unbounded: (reason: unknown): HttpReply => errorReply("request.unbounded", { title: titles.process, reason }),

  malformed: (reason: UserError): HttpReply =>
    errorReply("request.malformed", { title: titles.process, reason }, { causes: reason.causes }),

  unknownMesh: (mesh: string): HttpReply =>
    errorReply(
      "request.mesh",
      { title: titles.create },
      { causes: [{ field: "mesh", message: `mesh of name ${mesh} is not found` }] },
    ),

  badParameter: (title: Title, name: string, value: string, expected: string): HttpReply =>
    errorReply("request.invalid", { title }, { causes: [{ field: name, message: `"${value}" is not ${expected}` }] }),

  unusableAuthority: (reason: string): HttpReply =>
    errorReply("request.authority", { title: titles.rotateAuthority, reason }),

  conflict: (title: Title): HttpReply => errorReply("request.conflict", { title }),

  crossSite: (): HttpReply => errorReply("http.cross-site", { title: titles.process }),

  notAcceptable: (produced: string): HttpReply => errorReply("http.not-acceptable", { produced }),

  unsupportedMediaType: (sent: string): HttpReply => errorReply("http.media-type", { type: sent }),

  storeUnavailable: (title: string, reason: string | undefined): HttpReply =>
    errorReply(
      "request.store",
      { title },
      {
        causes: reason === undefined ? [] : [{ field: "store", message: reason }],
        headers: { "Retry-After": retryAfterSeconds },
      },
    ),

  internal: (title: string): HttpReply => errorReply("http.internal", { title }),
} as const;
