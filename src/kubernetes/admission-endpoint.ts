import { isUtf8 } from "node:buffer";
import { BeyondBounds, type JsonBounds, parseJsonInSteps } from "../lib/json-steps.js";
import type { Logger } from "../lib/logger.js";
import type { Endpoint } from "../net/endpoints.js";
import { errorReply, type HttpReply, type HttpRequest, jsonType } from "../net/exchange.js";
import type { HttpLimits } from "../net/limits.js";
import { foreignMediaType } from "../net/media-type.js";
import { inSlices } from "../net/slices.js";
import { type AdmissionRequest, admissionReview, readAdmissionReview, type Verdict } from "./admission-review.js";

/** Limits of servers for admission webhooks. An API server sends the old and the new object, of some MB each. */
export const admissionLimits: Partial<HttpLimits> = { bodyBytes: 8 * 1024 * 1024 };

/** Bodies up to this size are parsed at once; this blocks others for some milliseconds at most. */
const smallBytes = 32 * 1024;

/** Limits on the body, beyond any object that an API server stores. */
const bounds: JsonBounds = { deepest: 200, elements: 100_000, members: 100_000, values: 500_000 };

const title = "Could not review a request";

async function read({ headers, body }: HttpRequest): Promise<AdmissionRequest | HttpReply> {
  const foreign = foreignMediaType(headers);
  if (foreign !== undefined) return errorReply("http.media-type", { type: foreign });
  if (body.length === 0) return errorReply("request.empty", { title, type: "AdmissionReview" });
  if (!isUtf8(body)) return errorReply("request.not-json", { title, reason: "it is not UTF-8 text" });
  try {
    const text = body.toString();
    const document = text.length <= smallBytes ? JSON.parse(text) : await inSlices(parseJsonInSteps(text, bounds));
    const request = readAdmissionReview(document);
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
      const request = await read(call.request);
      if ("status" in request) return request;
      const body = JSON.stringify(admissionReview(request, await verdictOn(request)));
      return { status: 200, headers: { "Content-Type": jsonType }, body };
    },
  };
}
