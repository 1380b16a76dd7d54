import { isJsonObject, parseJsonObject } from "../lib/json.js";
import { ask, at, type ControlPlane, lookUp, shown } from "./bootstrap-client.js";

/** What the control plane says of a dataplane whose proxy runs. */
export interface DataplaneStatus {
  /** Whether there is a Dataplane of that name. */
  readonly known: boolean;
  /** Why its proxy was refused a certificate when it last asked for one; undefined when it was not. */
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

/**
 * Asks once. Undefined when the control plane is of a release that doesn't tell.
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
  // As with the bootstrap, the address may be the API server's.
  const server = await lookUp(cp, [], signal);
  const answer = await ask("GET", at(server.href, question), cp, signal);
  return answer.status === 200 ? readStatus(answer.body) : undefined;
}
