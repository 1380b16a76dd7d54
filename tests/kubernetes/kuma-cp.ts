import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { crds } from "../../src/kubernetes/crds.js";
import { controlPlaneManifests } from "../../src/kubernetes/manifests/control-plane.js";
import type { Manifest } from "../../src/kubernetes/manifests/manifest.js";
import { completeOptions, optionTable } from "../../src/kubernetes/manifests/options.js";
import { controlPlaneAccount as controlPlaneAccountName } from "../../src/kubernetes/manifests/rbac.js";
import { registry } from "../../src/resources/registry.js";
import { type IssuedCertificate, issueCertificate } from "../support/certificates.js";
import { eventually } from "../support/eventually.js";
import { anyPorts, type ControlPlane, startControlPlane, startProgram } from "../support/executable.js";
import { freePort } from "../support/ports.js";
import type { Cluster } from "./cluster.js";

const systemNamespace = "kuma-system";

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
  // Proxies are given this one, and verify it by itself.
  const sds = issueCertificate({ name: "sds", hosts: ["127.0.0.1", "localhost"] });
  fs.writeFileSync(path.join(directory, "sds.crt"), sds.cert);
  fs.writeFileSync(path.join(directory, "sds.key"), sds.key);
  return { authority, directory, renew };
}

/** What `kumactl install control-plane` prints, of these kinds. */
function printed(kinds: readonly string[], authority = ""): readonly Manifest[] {
  const options = { ...completeOptions(optionTable("test"), {}), namespace: systemNamespace };
  const pair = { cert: authority, key: "" };
  const pairs = { admissionServer: pair, injector: pair, sds: pair };
  return controlPlaneManifests({ registry, options, pairs }).filter(({ kind }) => kinds.includes(kind));
}

interface PrintedWebhook {
  readonly name: string;
  readonly clientConfig: { readonly service: { readonly path: string }; readonly caBundle: string };
}

/** The printed configurations of the webhooks, for a kuma-cp on this machine that the API server calls by URL. */
export function webhookConfigurations(port: number, { authority }: WebhookCertificate): readonly object[] {
  const configurations = printed(["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"], authority.cert);
  return configurations.flatMap((configuration) => {
    const webhooks = (configuration.webhooks as readonly PrintedWebhook[])
      .filter(({ name }) => name !== "kuma-injector.kuma.io")
      .map(({ clientConfig: { service, caBundle }, ...webhook }) => ({
        ...webhook,
        clientConfig: { url: `https://127.0.0.1:${port}${service.path}`, caBundle },
      }));
    return webhooks.length === 0 ? [] : [{ ...configuration, webhooks }];
  });
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
    KUMA_SDS_SERVER_TLS_CERT_FILE: path.join(certificate.directory, "sds.crt"),
    KUMA_SDS_SERVER_TLS_KEY_FILE: path.join(certificate.directory, "sds.key"),
    ...env,
  };
}

/** Starts a kuma-cp for the cluster, as a process of this machine; resolves once it is ready. */
export const startKumaCp = (cluster: Cluster, options: KumaCpOptions): Promise<ControlPlane> =>
  startControlPlane(environmentOf(cluster, options));

/** The same without waiting. */
export const launchKumaCp = (cluster: Cluster, options: KumaCpOptions) =>
  startProgram("kuma-cp", ["run"], { ...anyPorts, ...environmentOf(cluster, options) });

/**
 * Makes the system namespace with the ServiceAccount of the control plane, which has the printed permissions.
 * @returns the path of its kubeconfig
 */
export async function controlPlaneAccount(cluster: Cluster): Promise<string> {
  const roles = ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"];
  await cluster.apply(printed(["Namespace", "ServiceAccount", ...roles]));
  return cluster.writeKubeconfig(await cluster.accountToken(systemNamespace, controlPlaneAccountName));
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
