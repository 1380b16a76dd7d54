import { isUtf8 } from "node:buffer";
import { BeyondBounds, type JsonBounds, parseJsonInSteps } from "../lib/json-steps.js";
import type { Logger } from "../lib/logger.js";
import { createSemaphore } from "../lib/semaphore.js";
import type { Endpoint } from "../net/endpoints.js";
import { errorReply, type HttpReply, type HttpRequest, jsonType } from "../net/exchange.js";
import { type Incidents, uncounted } from "../net/incidents.js";
import type { HttpLimits } from "../net/limits.js";
import { foreignMediaType } from "../net/media-type.js";
import { inSlices } from "../net/slices.js";
import { type AdmissionRequest, admissionReview, readAdmissionReview, type Verdict } from "./admission-review.js";

/** The name in the metric `refusals` of the bound on large bodies that are read at a time. */
export const reviewsLimit = "reviews";

/** Limits of servers for admission webhooks. An API server sends the old and the new object, of some MB each. */
export const admissionLimits: Partial<HttpLimits> = { bodyBytes: 8 * 1024 * 1024 };

/** Bodies up to this size are parsed at once; this blocks others for some milliseconds at most. */
const smallBytes = 32 * 1024;

/** Limits on the body, beyond any object that an API server stores. */
const bounds: JsonBounds = { deepest: 200, elements: 100_000, members: 100_000, values: 500_000 };

/** Bytes of large bodies that may wait or be parsed in this process; more are answered 503. */
const mostHeldBytes = 64 * 1024 * 1024;
/** Large bodies that are parsed at a time: as values a body takes ten times its size. */
const inTurn = createSemaphore(2, Number.POSITIVE_INFINITY);
let heldBytes = 0;

const title = "Could not review a request";

/** Parses a large body when its turn comes; undefined if too many others wait. */
async function parseLarge(body: Buffer): Promise<{ readonly document: unknown } | undefined> {
  if (heldBytes + body.length > mostHeldBytes) return undefined;
  heldBytes += body.length;
  try {
    return await inTurn(async () => ({ document: await inSlices(parseJsonInSteps(body.toString(), bounds)) }));
  } finally {
    heldBytes -= body.length;
  }
}

async function read({ headers, body }: HttpRequest, incidents: Incidents): Promise<AdmissionRequest | HttpReply> {
  const foreign = foreignMediaType(headers);
  if (foreign !== undefined) return errorReply("http.media-type", { type: foreign });
  if (body.length === 0) return errorReply("request.empty", { title, type: "AdmissionReview" });
  if (!isUtf8(body)) return errorReply("request.not-json", { title, reason: "it is not UTF-8 text" });
  try {
    const small = body.length <= smallBytes;
    const parsed = small ? { document: JSON.parse(body.toString()) } : await parseLarge(body);
    if (parsed === undefined) {
      incidents.refused(reviewsLimit);
      return errorReply("http.reviews", {}, { headers: { "Retry-After": "1" } });
    }
    const request = readAdmissionReview(parsed.document);
    return typeof request === "string" ? errorReply("request.malformed", { title, reason: request }) : request;
  } catch (error) {
    if (error instanceof BeyondBounds) return errorReply("request.unbounded", { title, reason: error });
    if (error instanceof SyntaxError) return errorReply("request.not-json", { title, reason: error });
    throw error;
  }
}

const failure: Verdict = { allowed: false, code: 500, message: "the webhook failed; its log says why" };

/** An admission webhook: answers AdmissionReviews by `review`, whose exceptions are logged and answered as denials. */
export function admissionEndpoint(
  path: string,
  review: (request: AdmissionRequest) => Verdict | Promise<Verdict>,
  logger: Logger,
  incidents: Incidents = uncounted,
): Endpoint {
  async function verdictOn(request: AdmissionRequest): Promise<Verdict> {
    try {
      return await review(request);
    } catch (error) {
      logger.error("could not review a request", { path, uid: request.uid, name: request.name, error });
      return failure;
    }
  }

  return {
    methods: ["POST"],
    path,
    title,
    access: "write",
    async handle(call) {
      const request = await read(call.request, incidents);
      if ("status" in request) return request;
      const body = JSON.stringify(admissionReview(request, await verdictOn(request)));
      return { status: 200, headers: { "Content-Type": jsonType }, body };
    },
  };
}
