import { UserError } from "../lib/errors.js";
import { isJsonObject, parseJsonObject } from "../lib/json.js";
import { ask, at, type ControlPlane, lookUp, shown } from "./bootstrap-client.js";

/** The control plane's status of a dataplane whose proxy runs. */
export interface DataplaneStatus {
  /** Whether the Dataplane exists. */
  readonly known: boolean;
  /** The control plane's reason when it rejected the proxy's last request for a certificate; undefined when it did not. */
  readonly refusal: { readonly time: string; readonly reason: string } | undefined;
}

const statusPath = "/dataplane-status";

function readStatus(body: string): DataplaneStatus | undefined {
  const document = parseJsonObject(body);
  if (typeof document?.known !== "boolean") return undefined;
  const { known, refusal } = document;
  if (!isJsonObject(refusal)) return { known, refusal: undefined };
  const { time, reason } = refusal;
  return { known, refusal: { time: shown(String(time)), reason: shown(String(reason)) } };
}

/** The control plane's verdict on the listeners that an Envoy has. */
export interface ListenerVerdict {
  /** Whether this control plane instance serves the proxy; another instance may. */
  readonly connected: boolean;
  /** Listeners that Envoy acknowledged but does not have. */
  readonly missing: readonly string[];
  /** Envoy has not yet answered the latest response. */
  readonly pending: boolean;
}

function readVerdict(body: string): ListenerVerdict | undefined {
  const document = parseJsonObject(body);
  if (typeof document?.connected !== "boolean") return undefined;
  const { connected, missing, pending } = document;
  const names = Array.isArray(missing) ? missing.slice(0, mostShown).map((name: unknown) => shown(String(name))) : [];
  return { connected, missing: names, pending: pending === true };
}

/** Most listener names in one sentence. */
const mostShown = 20;

/**
 * Reports Envoy's listeners to the control plane. Undefined when its release does not accept such reports.
 * @throws when it can't be reached or rejects the report
 */
export async function reportListeners(
  cp: ControlPlane,
  { mesh, name }: { readonly mesh: string; readonly name: string },
  listeners: readonly string[],
  signal: AbortSignal,
): Promise<ListenerVerdict | undefined> {
  const body = JSON.stringify({ mesh, name, listeners });
  const direct =
    cp.kind === "bootstrap-server" ? await ask("POST", at(cp.url, statusPath), cp, signal, body) : undefined;
  // As for the bootstrap, the address may be the API server's.
  const answer =
    direct === undefined || direct.status === 404
      ? await ask("POST", at((await lookUp(cp, [], signal)).href, statusPath), cp, signal, body)
      : direct;
  if (answer.status === 200) return readVerdict(answer.body);
  if (answer.status === 404 || answer.status === 405) return undefined;
  throw UserError.of("listener-report.refused", { status: answer.status });
}

/**
 * Requests the status once. Undefined when the control plane's release does not provide it.
 * @throws when it can't be reached
 */
export async function askStatus(
  cp: ControlPlane,
  { mesh, name }: { readonly mesh: string; readonly name: string },
  signal: AbortSignal,
): Promise<DataplaneStatus | undefined> {
  const question = `${statusPath}?${new URLSearchParams({ mesh, name })}`;
  if (cp.kind === "bootstrap-server") {
    const answer = await ask("GET", at(cp.url, question), cp, signal);
    if (answer.status === 200) return readStatus(answer.body);
  }
  // As for the bootstrap, the address may be the API server's.
  const server = await lookUp(cp, [], signal);
  const answer = await ask("GET", at(server.href, question), cp, signal);
  return answer.status === 200 ? readStatus(answer.body) : undefined;
}
