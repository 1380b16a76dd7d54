import { backoff, sleep } from "../lib/deadline.js";
import { messageOf, UserError } from "../lib/errors.js";
import { isJsonObject, parseJsonObject } from "../lib/json.js";
import { visible } from "../lib/visible.js";
import { type Answer, exchange } from "../net/http-client.js";
import { readWarningHeader } from "../net/warning-header.js";

/** What kuma-dp sends to the control plane to get a bootstrap. */
export interface BootstrapRequest {
  readonly mesh: string;
  readonly name: string;
  /** 0 lets the control plane choose. */
  readonly adminPort: number;
  /** As Envoy sees it, relative to its working directory. */
  readonly dataplaneTokenPath?: string;
  /** Absolute paths of directories, besides its working directory, below which Envoy may write log files. */
  readonly logDirectories: readonly string[];
}

/** A bootstrap server, or an API server whose catalogue contains the bootstrap server's address. */
export interface ControlPlane {
  readonly kind: "bootstrap-server" | "api-server";
  readonly url: string;
  /** PEM certificates to trust for https instead of the system's. */
  readonly ca?: string;
}

export interface Retry {
  /** Longest pause between two attempts, in milliseconds. */
  readonly pause: number;
  /** After this many milliseconds a failure is final. */
  readonly giveUp: number;
  /** Called for each failure that will be retried. */
  readonly waiting: (reason: string) => void;
  /** Called for each warning that the control plane sends with the bootstrap. */
  readonly warned: (sentence: string) => void;
}

const timeout = 10_000;
const bodyLimit = 4 * 1024 * 1024;

/** The control plane cannot be reached or answered with a server error: worth another attempt. */
class Unavailable extends Error {}

/** The URL of a path at the control plane's address. */
export function at(base: string, path: string): URL {
  // The path of the user's URL is replaced.
  return new URL(path, base);
}

/** True when a certificate check failed. A retry cannot help; another CA file or address can. */
function isTrustFailure(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return (
    code.startsWith("ERR_TLS_CERT") ||
    code.startsWith("CERT_") ||
    code.includes("SELF_SIGNED_CERT") ||
    code.startsWith("UNABLE_TO_")
  );
}

/**
 * Sends one request to the control plane and returns its answer, unless that is a 5xx.
 * @throws Unavailable when a retry may help
 */
export async function ask(
  method: "GET" | "POST",
  url: URL,
  cp: ControlPlane,
  signal: AbortSignal,
  body?: string,
): Promise<Answer> {
  const tls = cp.ca === undefined ? {} : { tls: { ca: cp.ca } };
  const payload = body === undefined ? {} : { body };
  let answer: Answer;
  try {
    answer = await exchange({ method, target: url, timeout, limit: bodyLimit, signal, ...tls, ...payload });
  } catch (error) {
    signal.throwIfAborted();
    if (isTrustFailure(error)) throw UserError.of("control-plane.untrusted", { server: url.origin, reason: error });
    throw new Unavailable(`could not reach ${url.href}: ${messageOf(error)}`, { cause: error });
  }
  if (answer.status >= 500) throw new Unavailable(`${url.href} answered with status ${answer.status}`);
  return answer;
}

/** Answers are shown in one line and shortened to a readable length. */
const longestShown = 1_000;
export const shown = (text: string) => visible(text.length > longestShown ? `${text.slice(0, longestShown)}…` : text);

/** The sentence in a Kuma error body; undefined when the answer comes from another kind of server. */
function ourError(answer: Answer): string | undefined {
  const body = parseJsonObject(answer.body);
  if (typeof body?.title !== "string") return undefined;
  const { title, details } = body;
  return shown(typeof details === "string" && details !== "" ? `${title} (${details})` : title);
}

function bootstrapUrlIn(catalogue: Answer): URL | undefined {
  const apis = parseJsonObject(catalogue.body)?.apis;
  const bootstrap = isJsonObject(apis) ? apis.bootstrap : undefined;
  const written = isJsonObject(bootstrap) ? bootstrap.url : undefined;
  const url = typeof written === "string" ? URL.parse(written) : null;
  return url === null || !/^https?:$/.test(url.protocol) ? undefined : at(url.href, "/bootstrap");
}

/**
 * Looks up the bootstrap server's address in the catalogue at the control plane's address.
 * @param tried earlier requests, to be named in the error when nothing is found
 */
export async function lookUp(cp: ControlPlane, tried: readonly string[], signal: AbortSignal): Promise<URL> {
  const attempts = [...tried];
  for (const path of ["/catalog", "/catalogue"]) {
    const url = at(cp.url, path);
    const answer = await ask("GET", url, cp, signal);
    const found = answer.status === 200 ? bootstrapUrlIn(answer) : undefined;
    if (found !== undefined) return found;
    attempts.push(`GET ${url.href} (status ${answer.status})`);
  }
  throw UserError.of("control-plane.not-found", { address: cp.url, attempts: attempts.join(", ") });
}

/** The answer when it has the bootstrap; undefined when it does not come from a bootstrap server. */
function read(url: URL, answer: Answer): Answer | undefined {
  if (answer.status === 200) return answer;
  const ours = ourError(answer);
  // Checks for this title only: our API server, whose URL may have been given instead, also answers unknown paths with
  // JSON.
  if (answer.status === 404 && ours?.startsWith("Could not find a Dataplane")) {
    throw UserError.of("bootstrap.no-dataplane", { answer: ours });
  }
  if (answer.status === 404 || answer.status === 405) return undefined;
  throw UserError.of("bootstrap.refused", {
    url: url.href,
    status: answer.status,
    answer: ours === undefined ? "" : `: ${ours}`,
  });
}

async function attempt(cp: ControlPlane, body: string, signal: AbortSignal): Promise<Answer> {
  const tried: string[] = [];
  if (cp.kind === "bootstrap-server") {
    const direct = at(cp.url, "/bootstrap");
    const answer = await ask("POST", direct, cp, signal, body);
    const bootstrap = read(direct, answer);
    if (bootstrap !== undefined) return bootstrap;
    tried.push(`POST ${direct.href} (status ${answer.status})`);
  }
  const found = await lookUp(cp, tried, signal);
  const answer = await ask("POST", found, cp, signal, body);
  const bootstrap = read(found, answer);
  if (bootstrap !== undefined) return bootstrap;
  throw UserError.of("bootstrap.refused", { url: found.href, status: answer.status, answer: "" });
}

/**
 * Fetches the Envoy bootstrap (YAML text) of one proxy. Connection errors and 5xx answers are retried until
 * `retry.giveUp`; any other failure throws a UserError at once. Rejects with the signal's reason when aborted.
 */
export async function fetchBootstrap(
  cp: ControlPlane,
  request: BootstrapRequest,
  retry: Retry,
  signal: AbortSignal,
): Promise<string> {
  const body = JSON.stringify(request);
  const pauses = backoff({ first: Math.min(250, retry.pause), max: retry.pause, jitter: true });
  const deadline = Date.now() + retry.giveUp;
  for (;;) {
    try {
      const answer = await attempt(cp, body, signal);
      for (const sentence of readWarningHeader(answer.headers.warning)) retry.warned(visible(sentence));
      return answer.body;
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      if (Date.now() >= deadline) throw UserError.of("control-plane.unavailable", { reason: error });
      retry.waiting(error.message);
    }
    await sleep(pauses.next(), signal).catch(() => signal.throwIfAborted());
  }
}
