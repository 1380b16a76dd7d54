import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { findKit } from "../../scripts/kubernetes/kit.mjs";
import type { IssuedCertificate } from "../support/certificates.js";
import { freePort } from "../support/ports.js";
import { type Cluster, clusterAt, whenDefaultAccount, whenReady } from "./cluster.js";
import { type Component, lastLines } from "./component.js";
import { startControlPlane } from "./control-plane.js";
import { makeCredentials } from "./credentials.js";
import { compact } from "./etcd.js";

export interface ApiServerOptions {
  /** Flags of kube-apiserver beyond the usual ones, such as `--disable-admission-plugins=ServiceAccount`. */
  readonly flags?: readonly string[];
  /** Without controllers nothing is collected, namespaces don't go away and no ServiceAccount is made. */
  readonly controllers?: "trimmed" | "all" | "none";
  readonly controllerFlags?: readonly string[];
}

/** An API server on this machine's loopback, with etcd and controllers but without nodes: no pod ever runs. */
export interface ApiServer extends Cluster {
  readonly etcd: Component;
  readonly apiServer: Component;
  readonly controllers: Component | undefined;
  /** Issues certificates that clients of this API server trust. */
  readonly issuer: IssuedCertificate;
  /** Compacts etcd, see `compact`. @returns the revision up to which it forgot */
  compact(): Promise<string>;
  /** Waits until the API server is ready, after it or etcd was restarted. */
  ready(): Promise<void>;
  /** Ends all processes and deletes their files. */
  stop(): Promise<void>;
}

/** What a cluster is made of, or an error that says how to get it. */
export function kitOrFail() {
  const { kit, missing } = findKit();
  if (kit !== undefined) return kit;
  throw new Error(`"npm run kubernetes:build" was not run: ${missing.join(", ")} missing in the cache`);
}

/** Starts an API server and waits until it is ready. */
export async function startApiServer(options: ApiServerOptions = {}): Promise<ApiServer> {
  const program = findKit().components ?? kitOrFail().components;
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-kubernetes-"));
  const credentials = makeCredentials(directory, ["127.0.0.1"]);
  const ports = {
    api: await freePort(),
    etcd: await freePort(),
    peers: await freePort(),
    controllers: await freePort(),
  };
  const controlPlane = startControlPlane({
    program,
    directory,
    credentials,
    wrap: (command) => command,
    listen: "127.0.0.1",
    address: "127.0.0.1",
    ports,
    apiServerFlags: options.flags,
    allControllers: options.controllers === "all",
    controllerFlags: options.controllerFlags,
  });
  const { etcd, apiServer } = controlPlane;
  const cluster = clusterAt({
    url: `https://127.0.0.1:${ports.api}`,
    authority: credentials.authority.cert,
    token: credentials.tokens.admin,
    kubectl: [program, "kubectl"],
    kubeconfig: controlPlane.kubeconfig("admin"),
    directory,
  });
  let controllers: Component | undefined;

  const ready = () =>
    whenReady(cluster, () => {
      const dead = [etcd, apiServer].filter(({ running }) => !running);
      return dead.length === 0 ? undefined : `ended: ${dead.map((one) => lastLines(one)).join("\n  ")}`;
    });

  async function stop(): Promise<void> {
    await Promise.all([controllers?.kill(), apiServer.kill(), etcd.kill()]);
    fs.rmSync(directory, { recursive: true, force: true });
  }

  try {
    await ready();
    if (options.controllers !== "none") {
      controllers = controlPlane.startControllers();
      await whenDefaultAccount(cluster);
    }
  } catch (error) {
    const logs = [etcd, apiServer, ...(controllers === undefined ? [] : [controllers])].map((one) => lastLines(one));
    await stop();
    throw new Error(`the API server did not start: ${(error as Error).message}\n  ${logs.join("\n  ")}`);
  }
  return {
    ...cluster,
    etcd,
    apiServer,
    controllers,
    issuer: credentials.authority,
    compact: () => compact(ports.etcd),
    ready,
    stop,
  };
}
