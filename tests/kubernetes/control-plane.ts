import fs from "node:fs";
import path from "node:path";
import { type Component, startComponent, type Wrap } from "./component.js";
import { type Credentials, kubeconfigText, type UserName } from "./credentials.js";

/**
 * The controllers that most tests rely on. The others, such as those of volumes and autoscaling, double the time until a
 * cluster is ready.
 */
const trimmedControllers = [
  "daemonset-controller",
  "deployment-controller",
  "endpoints-controller",
  "endpointslice-controller",
  "garbage-collector-controller",
  "job-controller",
  "namespace-controller",
  "node-lifecycle-controller",
  "pod-garbage-collector-controller",
  "replicaset-controller",
  "root-ca-certificate-publisher-controller",
  "serviceaccount-controller",
  "serviceaccount-token-controller",
  "statefulset-controller",
];

/** The range of Service addresses; the first is that of the API server. */
export const serviceRange = "10.96.0.0/16";
export const apiServerServiceAddress = "10.96.0.1";

export interface ControlPlaneOptions {
  /** The program of all components. */
  readonly program: string;
  /** For data and logs; at the same path for the components and the test. */
  readonly directory: string;
  readonly credentials: Credentials;
  readonly wrap: Wrap;
  /** Where the API server listens, and the address that it tells others. */
  readonly listen: string;
  readonly address: string;
  readonly ports: Readonly<Record<"api" | "etcd" | "peers" | "controllers", number>>;
  /** More flags, such as `--v=4`. A flag given twice has its last value, but lists such as `--controllers` add up. */
  readonly apiServerFlags?: readonly string[] | undefined;
  /** All controllers instead of the trimmed list. */
  readonly allControllers?: boolean | undefined;
  readonly controllerFlags?: readonly string[] | undefined;
}

export interface ControlPlane {
  readonly etcd: Component;
  readonly apiServer: Component;
  /** Starts kube-controller-manager, which needs an API server that is ready. */
  startControllers(): Component;
  /** Writes a kubeconfig for a component. @returns its path */
  kubeconfig(user: UserName): string;
  /** Starts another component of Kubernetes. */
  start(name: string, flags: readonly string[]): Component;
  /** Starts another program beside the components. */
  run(name: string, command: readonly string[]): Component;
}

/** Starts etcd and the API server. */
export function startControlPlane(options: ControlPlaneOptions): ControlPlane {
  const { program, directory, credentials, wrap, ports, listen, address } = options;
  const { files } = credentials;
  const run = (name: string, command: readonly string[]) =>
    startComponent(name, command, path.join(directory, `${name}.log`), wrap);
  const start = (name: string, flags: readonly string[]) => run(name, [program, name, ...flags]);

  const etcdUrl = `http://127.0.0.1:${ports.etcd}`;
  const peerUrl = `http://127.0.0.1:${ports.peers}`;
  const etcd = start("etcd", [
    `--data-dir=${path.join(directory, "etcd")}`,
    `--listen-client-urls=${etcdUrl}`,
    `--advertise-client-urls=${etcdUrl}`,
    `--listen-peer-urls=${peerUrl}`,
    `--initial-advertise-peer-urls=${peerUrl}`,
    `--initial-cluster=default=${peerUrl}`,
    // Nothing has to survive a crash of this machine.
    "--unsafe-no-fsync",
    "--log-level=warn",
  ]);
  const apiServer = start("kube-apiserver", [
    `--etcd-servers=${etcdUrl}`,
    `--bind-address=${listen}`,
    `--advertise-address=${address}`,
    `--secure-port=${ports.api}`,
    `--tls-cert-file=${files.certificate}`,
    `--tls-private-key-file=${files.key}`,
    `--service-cluster-ip-range=${serviceRange}`,
    "--service-account-issuer=https://kubernetes.default.svc",
    `--service-account-signing-key-file=${files.accountKey}`,
    `--service-account-key-file=${files.accountPublicKey}`,
    `--token-auth-file=${files.tokens}`,
    "--authorization-mode=Node,RBAC",
    "--allow-privileged=true",
    "--kubelet-preferred-address-types=InternalIP",
    // An address of loopback can't be an endpoint of the Service "kubernetes".
    ...(address === "127.0.0.1" ? ["--endpoint-reconciler-type=none"] : []),
    ...(options.apiServerFlags ?? []),
  ]);

  function kubeconfig(user: UserName): string {
    const file = path.join(directory, `${user}.kubeconfig`);
    const url = `https://${address}:${ports.api}`;
    fs.writeFileSync(file, kubeconfigText(url, credentials.authority.cert, credentials.tokens[user]), { mode: 0o600 });
    return file;
  }

  function startControllers(): Component {
    return start("kube-controller-manager", [
      `--kubeconfig=${kubeconfig("controllers")}`,
      `--service-account-private-key-file=${files.accountKey}`,
      `--root-ca-file=${files.authority}`,
      "--use-service-account-credentials=true",
      "--leader-elect=false",
      "--bind-address=127.0.0.1",
      `--secure-port=${ports.controllers}`,
      ...(options.allControllers === true ? [] : [`--controllers=${trimmedControllers.join(",")}`]),
      ...(options.controllerFlags ?? []),
    ]);
  }

  return { etcd, apiServer, startControllers, kubeconfig, start, run };
}
