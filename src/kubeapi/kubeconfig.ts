import fs from "node:fs";
import type { Agent, RequestOptions } from "node:https";
import path from "node:path";
import { KubeConfig } from "@kubernetes/client-node";
import { load } from "js-yaml";
import { isJsonObject } from "../lib/json.js";
import type { Access } from "./credentials.js";

const loopback = new Set(["127.0.0.1", "[::1]", "localhost"]);

/** The absolute paths of token files by user, which client-node does not read. */
function tokenFilesIn(file: string): [user: string, tokenFile: string][] {
  const document = load(fs.readFileSync(file, "utf8"));
  const users = isJsonObject(document) && Array.isArray(document.users) ? document.users.filter(isJsonObject) : [];
  return users.flatMap(({ name, user }) => {
    if (!isJsonObject(user) || typeof user.tokenFile !== "string" || typeof name !== "string") return [];
    return [[name, path.resolve(path.dirname(file), user.tokenFile)]];
  });
}

interface Loaded {
  readonly config: KubeConfig;
  readonly server: URL;
  readonly namespace: string | undefined;
  readonly tokenFile: string | undefined;
}

function loadFiles(files: readonly string[]): Loaded {
  const config = new KubeConfig();
  for (const [index, file] of files.entries()) {
    if (index === 0) {
      config.loadFromFile(file);
      continue;
    }
    const more = new KubeConfig();
    more.loadFromFile(file);
    // The first file that defines the current context wins.
    config.mergeConfig(more, config.currentContext !== undefined);
  }
  const [cluster, user] = [config.getCurrentCluster(), config.getCurrentUser()];
  const context = config.getContextObject(config.getCurrentContext());
  if (context === null)
    throw new Error(`its current-context "${config.getCurrentContext() ?? ""}" is not defined in it`);
  if (cluster === null) throw new Error(`its context "${context.name}" names a cluster that is not defined in it`);
  const server = new URL(cluster.server);
  if (server.protocol === "http:") {
    if (!loopback.has(server.hostname)) {
      throw new Error(`its server "${cluster.server}" is plain HTTP, which would show the credentials: use https`);
    }
    // `kubectl proxy` on this machine; client-node wants it said that there is no certificate to verify.
    config.loadFromClusterAndUser({ ...cluster, skipTLSVerify: true }, user ?? { name: "nobody" });
  }
  const tokenFiles = new Map(files.flatMap(tokenFilesIn).reverse());
  return {
    config,
    server,
    namespace: context.namespace,
    tokenFile: user === null ? undefined : tokenFiles.get(user.name),
  };
}

async function accessBy({ config, server, tokenFile }: Loaded): Promise<Access> {
  const options: RequestOptions = {};
  await config.applyToHTTPSOptions(options);
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(options.headers ?? {})) headers[name.toLowerCase()] = String(value).trim();
  if (typeof options.auth === "string") headers.authorization = `Basic ${Buffer.from(options.auth).toString("base64")}`;
  if (tokenFile !== undefined) headers.authorization = `Bearer ${fs.readFileSync(tokenFile, "utf8").trim()}`;
  const { ca, cert, key, servername, rejectUnauthorized } = options;
  const tls = {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(servername === undefined ? {} : { servername }),
    ...(rejectUnauthorized === undefined ? {} : { rejectUnauthorized }),
  };
  const proxied = (config.getCurrentCluster()?.proxyUrl ?? "") !== "";
  const agent = proxied && typeof options.agent === "object" ? (options.agent as Agent) : undefined;
  return { headers, tls: server.protocol === "http:" ? {} : tls, ...(agent === undefined ? {} : { agent }) };
}

export interface Kubeconfig {
  readonly server: URL;
  readonly namespace: string | undefined;
  /** Reads certificates and token files, and runs an exec plugin unless its last token is still valid. */
  access(): Promise<Access>;
}

/**
 * Loads the current context of kubeconfig files. Client certificates, tokens, exec plugins and OIDC are client-node's,
 * which is large: this module is a bundle of its own in the executable, and shares no class with the rest.
 * @throws Error, like `access`
 */
export function loadKubeconfig(files: readonly string[]): Kubeconfig {
  const loaded = loadFiles(files);
  const { server, namespace } = loaded;
  return { server, namespace, access: () => accessBy(loaded) };
}
