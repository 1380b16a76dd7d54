import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { crds } from "../../src/kubernetes/crds.js";
import { registry } from "../../src/resources/registry.js";
import { type IssuedCertificate, issueCertificate } from "../support/certificates.js";
import { eventually } from "../support/eventually.js";
import { anyPorts, type ControlPlane, startControlPlane, startProgram } from "../support/executable.js";
import { freePort } from "../support/ports.js";
import type { Cluster } from "./cluster.js";

/** Applies the CRDs of the registry and waits until they are served. */
export async function installCrds(cluster: Cluster): Promise<void> {
  await cluster.apply(crds(registry));
  await eventually("the CRDs are served", async () => {
    const { status, body } = await cluster.request("GET", "/apis/kuma.io/v1alpha1");
    return status === 200 && (body as { resources: unknown[] }).resources.length >= crds(registry).length;
  });
}

/** The certificate of webhook servers on this machine, its CA, and the directory that holds it. */
export interface WebhookCertificate {
  readonly authority: IssuedCertificate;
  readonly directory: string;
  /** Replaces the certificate by another one of the same CA. @returns it */
  renew(): IssuedCertificate;
}

export function webhookCertificate(): WebhookCertificate {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-webhook-"));
  const authority = issueCertificate({ name: "webhooks" });
  function renew(): IssuedCertificate {
    const issued = issueCertificate({ name: "kuma-cp", by: authority, hosts: ["127.0.0.1", "localhost"] });
    fs.writeFileSync(path.join(directory, "tls.crt"), issued.cert);
    fs.writeFileSync(path.join(directory, "tls.key"), issued.key);
    return issued;
  }
  renew();
  return { authority, directory, renew };
}

/** The configurations of the webhooks of a kuma-cp on this machine, which the API server calls by URL. */
export function webhookConfigurations(port: number, { authority }: WebhookCertificate): readonly object[] {
  const rule = (resources: readonly string[]) => ({
    apiGroups: ["kuma.io"],
    apiVersions: ["v1alpha1"],
    operations: ["CREATE", "UPDATE"],
    resources,
    scope: "*",
  });
  const webhook = (name: string, place: string, resources: readonly string[]) => ({
    name,
    clientConfig: {
      url: `https://127.0.0.1:${port}${place}`,
      caBundle: Buffer.from(authority.cert).toString("base64"),
    },
    rules: [rule(resources)],
    failurePolicy: "Fail",
    matchPolicy: "Equivalent",
    sideEffects: "None",
    admissionReviewVersions: ["v1"],
    timeoutSeconds: 10,
  });
  const plurals = registry.types.flatMap(({ kubernetes, access }) =>
    kubernetes === undefined || access === "internal" ? [] : [kubernetes.plural],
  );
  const group = "admissionregistration.k8s.io/v1";
  return [
    {
      apiVersion: group,
      kind: "MutatingWebhookConfiguration",
      metadata: { name: "kuma-admission-mutating-webhook-configuration" },
      webhooks: [webhook("mesh.defaulter.kuma-admission.kuma.io", "/default-kuma-io-v1alpha1-mesh", ["meshes"])],
    },
    {
      apiVersion: group,
      kind: "ValidatingWebhookConfiguration",
      metadata: { name: "kuma-validating-webhook-configuration" },
      webhooks: [webhook("validator.kuma-admission.kuma.io", "/validate-kuma-io-v1alpha1", plurals)],
    },
  ];
}

export interface KumaCpOptions {
  readonly certificate: WebhookCertificate;
  readonly kubeconfig?: string;
  readonly admissionPort?: number;
  readonly env?: Readonly<Record<string, string>>;
}

function environmentOf(cluster: Cluster, { certificate, kubeconfig, admissionPort = 0, env }: KumaCpOptions) {
  return {
    KUBECONFIG: kubeconfig ?? cluster.kubeconfig,
    KUMA_ENVIRONMENT: "kubernetes",
    KUMA_STORE_TYPE: "kubernetes",
    KUMA_KUBERNETES_ADMISSION_SERVER_CERT_DIR: certificate.directory,
    KUMA_KUBERNETES_ADMISSION_SERVER_PORT: String(admissionPort),
    KUMA_SDS_SERVER_TLS_CERT_FILE: path.join(certificate.directory, "tls.crt"),
    KUMA_SDS_SERVER_TLS_KEY_FILE: path.join(certificate.directory, "tls.key"),
    ...env,
  };
}

/** Starts a kuma-cp for the cluster, as a process of this machine; resolves once it is ready. */
export const startKumaCp = (cluster: Cluster, options: KumaCpOptions): Promise<ControlPlane> =>
  startControlPlane(environmentOf(cluster, options));

/** The same without waiting. */
export const launchKumaCp = (cluster: Cluster, options: KumaCpOptions) =>
  startProgram("kuma-cp", ["run"], { ...anyPorts, ...environmentOf(cluster, options) });

const account = "kuma-control-plane";

/**
 * Makes the system namespace with the ServiceAccount of the control plane, which may do everything.
 * @returns the path of its kubeconfig
 */
export async function controlPlaneAccount(cluster: Cluster): Promise<string> {
  const namespace = "kuma-system";
  await cluster.apply([
    { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: account, namespace } },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name: account },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "cluster-admin" },
      subjects: [{ kind: "ServiceAccount", name: account, namespace }],
    },
  ]);
  return cluster.writeKubeconfig(await cluster.accountToken(namespace, account));
}

/** A cluster with the CRDs, the system namespace, the webhooks and one kuma-cp. */
export interface KumaInstallation {
  readonly kumaCp: ControlPlane;
  readonly certificate: WebhookCertificate;
  readonly admissionPort: number;
  /** Of the control plane's ServiceAccount. */
  readonly kubeconfig: string;
  stop(): Promise<void>;
}

export async function installKuma(
  cluster: Cluster,
  env: Readonly<Record<string, string>> = {},
): Promise<KumaInstallation> {
  await installCrds(cluster);
  const kubeconfig = await controlPlaneAccount(cluster);
  const certificate = webhookCertificate();
  const admissionPort = await freePort();
  await cluster.apply(webhookConfigurations(admissionPort, certificate));
  const kumaCp = await startKumaCp(cluster, { certificate, admissionPort, kubeconfig, env });
  return {
    kumaCp,
    certificate,
    admissionPort,
    kubeconfig,
    async stop() {
      await kumaCp.stop();
      fs.rmSync(certificate.directory, { recursive: true, force: true });
    },
  };
}
