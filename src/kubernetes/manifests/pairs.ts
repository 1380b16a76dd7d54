import type { InstallOptions } from "./options.js";

/** A certificate and its key, PEM. */
export interface Pair {
  readonly cert: string;
  readonly key: string;
}

/** A TLS server of the installation, whose certificate is in a Secret. */
export interface TlsServer {
  /** The server in error messages. */
  readonly title: string;
  /** Its flags without `-tls-cert` and `-tls-key`, and its values in the chart without `TlsCert` and `TlsKey`. */
  readonly flag: string;
  readonly value: string;
  readonly secret: string;
  /** DNS names that its certificate needs. */
  hosts(options: Pick<InstallOptions, "namespace" | "controlPlaneServiceName" | "injectorServiceName">): string[];
}

/** The names of a Service by which the API server and pods verify its certificate. */
const serviceHosts = (service: string, namespace: string): string[] => [
  `${service}.${namespace}.svc`,
  `${service}.${namespace}`,
  service,
  `${service}.${namespace}.svc.cluster.local`,
];

export const tlsServers = {
  admissionServer: {
    title: "Admission Server",
    flag: "admission-server",
    value: "admissionServer",
    secret: "kuma-admission-server-tls-cert",
    hosts: ({ controlPlaneServiceName, namespace }) => serviceHosts(controlPlaneServiceName, namespace),
  },
  injector: {
    title: "Injector",
    flag: "injector",
    value: "injector",
    secret: "kuma-injector-tls-cert",
    hosts: ({ injectorServiceName, namespace }) => serviceHosts(injectorServiceName, namespace),
  },
  sds: {
    title: "SDS",
    flag: "sds",
    value: "sds",
    secret: "kuma-sds-tls-cert",
    hosts: ({ controlPlaneServiceName, namespace }) => [
      ...serviceHosts(controlPlaneServiceName, namespace).slice(0, 3),
      "localhost",
    ],
  },
} as const satisfies Record<string, TlsServer>;

export type ServerKey = keyof typeof tlsServers;
export type Pairs = Readonly<Record<ServerKey, Pair>>;

export const serverKeys = Object.keys(tlsServers) as ServerKey[];
