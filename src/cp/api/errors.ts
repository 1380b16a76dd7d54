import type { Cause } from "../../lib/errors.js";
import { errorReply, type HttpReply } from "../../net/exchange.js";

/** What the API was doing when something went wrong: the `title` of its error bodies. */
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

/** How long a client may wait before it tries an unavailable store again, in seconds. */
const retryAfterSeconds = "5";

/** Nobody mends more than these at once, and a body of a megabyte may be wrong in a hundred thousand places. */
const reportedCauses = 200;

function shortened(causes: readonly Cause[]): readonly Cause[] {
  const [next] = causes.slice(reportedCauses);
  if (next === undefined) return causes;
  const others = `and ${causes.length - reportedCauses} more problems like these`;
  return [...causes.slice(0, reportedCauses), { field: next.field, message: others }];
}

/** Every error the HTTP API answers, besides those any server of ours may give (`net/exchange.ts`, `net/http-server.ts`). */
export const errors = {
  notFound: (title: Title): HttpReply => errorReply(404, title, "Not found"),

  invalid: (title: Title, causes: readonly Cause[]): HttpReply =>
    errorReply(400, title, "Resource is not valid", { causes: shortened(causes) }),

  malformed: (reason: string, causes: readonly Cause[] = []): HttpReply =>
    errorReply(400, titles.process, reason, { causes }),

  unknownMesh: (mesh: string): HttpReply =>
    errorReply(400, titles.create, "Mesh is not found", {
      causes: [{ field: "mesh", message: `mesh of name ${mesh} is not found` }],
    }),

  badParameter: (title: Title, name: string, value: string, expected: string): HttpReply =>
    errorReply(400, title, "Request is not valid", {
      causes: [{ field: name, message: `"${value}" is not ${expected}` }],
    }),

  unusableAuthority: (reason: string): HttpReply => errorReply(409, titles.rotateAuthority, reason),

  /** Somebody else wrote the same resource between our read and our write. */
  conflict: (title: Title): HttpReply => errorReply(409, title, "Conflict"),

  crossSite: (): HttpReply => errorReply(403, titles.process, "Cross-site request refused"),

  notAcceptable: (produced: string): HttpReply => errorReply(406, "Not acceptable", `Answers are ${produced}`),

  unsupportedMediaType: (sent: string): HttpReply =>
    errorReply(415, "Unsupported media type", `Send the resource as application/json, not as ${sent}`),

  storeUnavailable: (title: string, reason: string | undefined): HttpReply =>
    errorReply(503, title, "Store is not available", {
      causes: reason === undefined ? [] : [{ field: "store", message: reason }],
      headers: { "Retry-After": retryAfterSeconds },
    }),

  /** Anything unexpected is a bug of ours: the cause is logged, never sent. */
  internal: (title: string): HttpReply => errorReply(500, title, "Internal Server Error"),
} as const;
