import fs from "node:fs";
import type { Agent } from "node:http";
import os from "node:os";
import path from "node:path";
import type { SecureContextOptions } from "node:tls";
import { messageOf, UserError } from "../lib/errors.js";
import { kubeLimits } from "./limits.js";

export interface KubeTls extends Pick<SecureContextOptions, "ca" | "cert" | "key"> {
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}

/** What a request needs to be let in. */
export interface Access {
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: KubeTls;
  /** Of a proxy that the kubeconfig names. */
  readonly agent?: Agent;
}

/** Where the API server is, and who we are to it. */
export interface Credentials {
  readonly server: URL;
  /** The namespace of the context or of the pod. */
  readonly namespace: string | undefined;
  /** Where they come from, for logs. */
  readonly source: string;
  /** Reads tokens and certificates again if they are older than a minute. @throws UserError if a file can't be read */
  access(): Promise<Access>;
  /** The server refused them: the next call of `access` reads everything again. */
  renew(): void;
}

export interface CredentialsOptions {
  /** Path of a kubeconfig, which wins over everything else. */
  readonly kubeconfig?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Where the ServiceAccount's token, CA and namespace are mounted. */
  readonly serviceAccount?: string;
  readonly home?: string;
  /** Milliseconds since any moment. */
  readonly now?: () => number;
}

const mountedServiceAccount = "/var/run/secrets/kubernetes.io/serviceaccount";

/** Caches what `read` returns for a minute. */
function reread<T>(read: () => T, now: () => number = () => performance.now()) {
  let last: { readonly value: T; readonly at: number } | undefined;
  return {
    get(): T {
      if (last === undefined || now() - last.at >= kubeLimits.credentialsMs) last = { value: read(), at: now() };
      return last.value;
    },
    renew() {
      last = undefined;
    },
  };
}

function inCluster(
  { host, port, directory }: { host: string; port: string; directory: string },
  now: (() => number) | undefined,
): Credentials {
  const file = (name: string): string => {
    const at = path.join(directory, name);
    try {
      return fs.readFileSync(at, "utf8");
    } catch (reason) {
      throw UserError.of("kubernetes.service-account", { file: at, reason });
    }
  };
  const namespaceFile = path.join(directory, "namespace");
  const current = reread<Access>(
    () => ({ headers: { authorization: `Bearer ${file("token").trim()}` }, tls: { ca: file("ca.crt") } }),
    now,
  );
  return {
    server: new URL(`https://${host.includes(":") ? `[${host}]` : host}:${port}`),
    namespace: fs.existsSync(namespaceFile) ? file("namespace").trim() : undefined,
    source: `the ServiceAccount in ${directory}`,
    access: async () => current.get(),
    renew: current.renew,
  };
}

async function fromKubeconfig(
  files: readonly string[],
  source: string,
  now: (() => number) | undefined,
): Promise<Credentials> {
  const file = files.join(path.delimiter);
  const { loadKubeconfig } = await import("./kubeconfig.js");
  const failed = (reason: unknown) =>
    UserError.of("kubernetes.kubeconfig", { file, source, reason: messageOf(reason) });
  const load = () => {
    try {
      return loadKubeconfig(files);
    } catch (error) {
      throw failed(error);
    }
  };
  let current = load();
  let refused = false;
  const recent = reread(async (): Promise<Access> => {
    // The file may have a new token by now, and an exec plugin's cached one was refused.
    if (refused) current = load();
    refused = false;
    try {
      return await current.access();
    } catch (error) {
      throw failed(error);
    }
  }, now);
  const { server, namespace } = current;
  return {
    server,
    namespace,
    source: `the kubeconfig ${file}`,
    async access() {
      try {
        return await recent.get();
      } catch (error) {
        recent.renew();
        throw error;
      }
    },
    renew() {
      recent.renew();
      refused = true;
    },
  };
}

/**
 * The credentials of this process, as kubectl and the clients of pods choose them: `kubeconfig`, KUBECONFIG, the pod's
 * ServiceAccount, `~/.kube/config`. client-node is loaded for kubeconfigs only.
 * @throws UserError if there are none, or the chosen ones can't be used
 */
export async function loadCredentials(options: CredentialsOptions = {}): Promise<Credentials> {
  const { kubeconfig, env = process.env, serviceAccount = mountedServiceAccount, home = os.homedir(), now } = options;
  const fromFiles = (files: readonly string[], source: string) => fromKubeconfig(files, source, now);
  if (kubeconfig !== undefined) return fromFiles([kubeconfig], "--kubeconfig");
  // As kubectl does, take a list of files, of which some may be missing.
  const listed = (env.KUBECONFIG ?? "").split(path.delimiter).filter((file) => file !== "");
  const present = listed.filter((file) => fs.existsSync(file));
  if (listed.length > 0) return fromFiles(present.length > 0 ? present : listed, "KUBECONFIG");
  const { KUBERNETES_SERVICE_HOST: host = "", KUBERNETES_SERVICE_PORT: port = "443" } = env;
  if (host !== "" && fs.existsSync(path.join(serviceAccount, "token"))) {
    const credentials = inCluster({ host, port, directory: serviceAccount }, now);
    await credentials.access();
    return credentials;
  }
  const own = path.join(home, ".kube", "config");
  if (fs.existsSync(own)) return fromFiles([own], "the default");
  throw UserError.of("kubernetes.no-credentials", { serviceHost: host === "" ? "not set" : host, home: own });
}
