import { readFile } from "node:fs/promises";
import path from "node:path";
import { createKubeClient } from "../kubeapi/client.js";
import type { Credentials } from "../kubeapi/credentials.js";
import { isJsonObject } from "../lib/json.js";

export interface ServerVersion {
  readonly major: number;
  readonly minor: number;
  /** Such as `v1.37.2`. */
  readonly text: string;
}

const leadingNumber = (value: unknown): number | undefined => {
  // Some providers append a plus sign to the minor version.
  const digits = typeof value === "string" ? /^\d{1,6}/.exec(value)?.[0] : undefined;
  return digits === undefined ? undefined : Number(digits);
};

/** Reads the answer to `GET /version`; undefined if it is another answer. */
export function readServerVersion(answer: unknown): ServerVersion | undefined {
  if (!isJsonObject(answer)) return undefined;
  const [major, minor] = [leadingNumber(answer.major), leadingNumber(answer.minor)];
  if (major === undefined || minor === undefined) return undefined;
  const text = typeof answer.gitVersion === "string" ? answer.gitVersion : `v${major}.${minor}`;
  return { major, minor, text };
}

/** Whether restartable init containers are on by default: since Kubernetes 1.29. */
export const hasNativeSidecars = ({ major, minor }: ServerVersion): boolean =>
  major > 1 || (major === 1 && minor >= 29);

/**
 * The API server of this pod's cluster. Only the certificate of its authority is needed: the version is no secret, and
 * a webhook is better off without a token.
 */
function ownCluster(directory: string, env: Readonly<Record<string, string | undefined>>): Credentials {
  const { KUBERNETES_SERVICE_HOST: host = "", KUBERNETES_SERVICE_PORT: port = "443" } = env;
  if (host === "") throw new Error("KUBERNETES_SERVICE_HOST is not set, as it is in pods");
  return {
    server: new URL(`https://${host.includes(":") ? `[${host}]` : host}:${port}`),
    namespace: undefined,
    source: directory,
    async access() {
      const ca = await readFile(path.join(directory, "ca.crt"), "utf8");
      const token = await readFile(path.join(directory, "token"), "utf8").catch(() => "");
      return { headers: token === "" ? {} : { authorization: `Bearer ${token.trim()}` }, tls: { ca } };
    },
    renew() {},
  };
}

/** Asks the API server for its version. Throws an Error that says why there is none. */
export async function askServerVersion(
  directory: string,
  env: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): Promise<ServerVersion> {
  const client = createKubeClient(ownCluster(directory, env));
  try {
    const version = readServerVersion(await client.request("GET", "/version", undefined, signal));
    if (version === undefined) throw new Error("the API server's answer to GET /version is no version");
    return version;
  } finally {
    client.close();
  }
}
