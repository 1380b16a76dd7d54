import { isJsonObject, parseJsonObject } from "../lib/json.js";

/** One invalid field, as the API server reports it. */
export interface KubeCause {
  readonly reason: string;
  readonly field: string;
  readonly message: string;
}

interface Details {
  readonly reason?: string;
  readonly causes?: readonly KubeCause[];
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** A request that the API server refused, or never answered. */
export class KubeError extends Error {
  /** HTTP status; 0 if there was no answer. */
  readonly status: number;
  /** Kubernetes' reason, such as `AlreadyExists`; empty if the answer was none of Kubernetes. */
  readonly reason: string;
  readonly causes: readonly KubeCause[];
  /** How long the server asked to wait before another attempt. */
  readonly retryAfterMs: number | undefined;

  constructor(status: number, message: string, { reason = "", causes = [], retryAfterMs, cause }: Details = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "KubeError";
    this.status = status;
    this.reason = reason;
    this.causes = causes;
    this.retryAfterMs = retryAfterMs;
  }

  /** The API server can't serve requests at the moment, or can't be reached: another attempt may succeed. */
  get temporary(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** Whether the error is a refusal with this status. */
export const hasStatus = (error: unknown, status: number): error is KubeError =>
  error instanceof KubeError && error.status === status;

const textOf = (value: unknown): string => (typeof value === "string" ? value : "");
const longestAnswer = 500;

function causesOf(details: unknown): KubeCause[] {
  if (!isJsonObject(details) || !Array.isArray(details.causes)) return [];
  return details.causes
    .filter(isJsonObject)
    .map(({ reason, field, message }) => ({ reason: textOf(reason), field: textOf(field), message: textOf(message) }));
}

/** The error that a `Status` object describes, which may come as an answer or within a watch. */
export function errorOfStatus(status: unknown, doing: string, code = 500, retryAfterMs?: number): KubeError {
  if (!isJsonObject(status)) return new KubeError(code, `${doing}: status ${code}`, { retryAfterMs });
  const known = typeof status.code === "number" && status.code >= 400 ? status.code : code;
  const message = `${doing}: ${textOf(status.message) || `status ${known}`}`;
  const asked = isJsonObject(status.details) ? status.details.retryAfterSeconds : undefined;
  const retry = retryAfterMs ?? (typeof asked === "number" && asked > 0 ? asked * 1_000 : undefined);
  return new KubeError(known, message, {
    reason: textOf(status.reason),
    causes: causesOf(status.details),
    retryAfterMs: retry,
  });
}

/** The error of an unsuccessful answer. @param doing the request, for the message */
export function errorOfAnswer(status: number, body: string, doing: string, retryAfter?: string): KubeError {
  const seconds = retryAfter === undefined ? Number.NaN : Number(retryAfter);
  const retryAfterMs = Number.isFinite(seconds) && seconds >= 0 ? seconds * 1_000 : undefined;
  const parsed = parseJsonObject(body);
  if (parsed?.kind === "Status") return errorOfStatus(parsed, doing, status, retryAfterMs);
  // A proxy in between answers with a page of its own.
  const text = body.trim().slice(0, longestAnswer);
  return new KubeError(status, `${doing}: status ${status}${text === "" ? "" : `: ${text}`}`, { retryAfterMs });
}
