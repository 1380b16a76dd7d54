import { controlPlaneConfig, injectorConfig } from "./config-maps.js";
import { restrictedContainer, restrictedPod } from "./hardening.js";
import type { Manifest } from "./manifest.js";
import type { InstallOptions } from "./options.js";
import { tlsServers } from "./pairs.js";
import { controlPlanePorts, injectorPort } from "./ports.js";
import { controlPlaneAccount, injectorAccount } from "./rbac.js";
import { controlPlaneApp, injectorApp } from "./services.js";

const sdsTls = "/var/run/secrets/kuma.io/kuma-sds/tls-cert";
const admissionTls = "/var/run/secrets/kuma.io/kuma-admission-server/tls-cert";
const injectorTls = "/var/run/secrets/kuma.io/kuma-injector/tls-cert";

interface Mount {
  readonly path: string;
  readonly source: { readonly secret: string } | { readonly configMap: string } | "scratch";
}

interface Program {
  readonly app: string;
  readonly container: string;
  readonly account: string;
  readonly replicas: number;
  readonly image: string;
  readonly pullPolicy: string;
  readonly config: string;
  readonly env: Readonly<Record<string, string>>;
  readonly ports: Readonly<Record<string, number>>;
  readonly probed: { readonly port: number; readonly scheme: "HTTP" | "HTTPS" };
  readonly memory: string;
  readonly mounts: readonly Mount[];
}

/** Names of volumes have no dots. */
const nameOf = ({ source }: Mount): string =>
  source === "scratch" ? "tmp" : ("secret" in source ? source.secret : source.configMap).replaceAll(".", "-");

function volume(mount: Mount): unknown {
  const name = nameOf(mount);
  const { source } = mount;
  if (source === "scratch") return { name, emptyDir: { sizeLimit: "64Mi" } };
  return "secret" in source
    ? { name, secret: { secretName: source.secret } }
    : { name, configMap: { name: source.configMap } };
}

function volumeMount(mount: Mount): unknown {
  const { path, source } = mount;
  return { name: nameOf(mount), mountPath: path, ...(source === "scratch" ? {} : { readOnly: true }) };
}

/**
 * Kubernetes' default, every 10 s, would keep an instance that is ready from its clients for that long: sidecars without a
 * control plane, or pods without their sidecars. It is not ready after as long a time as by default.
 */
const oftenProbed = { periodSeconds: 2, failureThreshold: 15 };

function deployment(program: Program, namespace: string): Manifest {
  const { app, container, account, replicas, image, pullPolicy, config, env, ports, probed, memory } = program;
  const labels = { app };
  const probe = (path: string) => ({ httpGet: { path, ...probed } });
  const configMount: Mount = { path: `/etc/kuma.io/${app}`, source: { configMap: config } };
  const mounts = [...program.mounts, configMount];
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: app, namespace, labels },
    spec: {
      replicas,
      // A new instance is ready before an old one stops.
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          serviceAccountName: account,
          securityContext: restrictedPod,
          // Instances on different nodes, where there are enough of them.
          affinity: {
            podAntiAffinity: {
              preferredDuringSchedulingIgnoredDuringExecution: [
                {
                  weight: 100,
                  podAffinityTerm: { labelSelector: { matchLabels: labels }, topologyKey: "kubernetes.io/hostname" },
                },
              ],
            },
          },
          containers: [
            {
              name: container,
              image,
              imagePullPolicy: pullPolicy,
              args: ["run", "--log-level=info", `--config-file=${configMount.path}/config.yaml`],
              env: Object.entries(env).map(([name, value]) => ({ name, value })),
              ports: Object.entries(ports).map(([name, port]) => ({ name, containerPort: port, protocol: "TCP" })),
              livenessProbe: probe("/healthy"),
              readinessProbe: { ...probe("/ready"), ...oftenProbed },
              resources: { requests: { cpu: "100m", memory } },
              securityContext: restrictedContainer,
              volumeMounts: mounts.map(volumeMount),
            },
          ],
          volumes: mounts.map(volume),
        },
      },
    },
  };
}

function controlPlane(options: InstallOptions): Program {
  const { namespace, controlPlaneImage, controlPlaneVersion, controlPlaneServiceName, imagePullPolicy } = options;
  const host = `${controlPlaneServiceName}.${namespace}`;
  const port = (of: keyof typeof controlPlanePorts) => String(controlPlanePorts[of]);
  return {
    app: controlPlaneApp,
    container: "control-plane",
    account: controlPlaneAccount,
    replicas: options.replicas,
    image: `${controlPlaneImage}:${controlPlaneVersion}`,
    pullPolicy: imagePullPolicy,
    config: controlPlaneConfig,
    env: {
      KUMA_ENVIRONMENT: "kubernetes",
      KUMA_STORE_TYPE: "kubernetes",
      KUMA_STORE_KUBERNETES_SYSTEM_NAMESPACE: namespace,
      KUMA_GENERAL_ADVERTISED_HOSTNAME: host,
      KUMA_SDS_SERVER_GRPC_PORT: port("sds"),
      KUMA_XDS_SERVER_GRPC_PORT: port("xds"),
      KUMA_XDS_SERVER_DIAGNOSTICS_PORT: port("diagnostics"),
      KUMA_API_SERVER_PORT: port("api"),
      KUMA_API_SERVER_READ_ONLY: "true",
      KUMA_BOOTSTRAP_SERVER_PORT: port("bootstrap"),
      KUMA_BOOTSTRAP_SERVER_PARAMS_XDS_HOST: host,
      KUMA_BOOTSTRAP_SERVER_PARAMS_XDS_PORT: port("xds"),
      KUMA_SDS_SERVER_TLS_CERT_FILE: `${sdsTls}/tls.crt`,
      KUMA_SDS_SERVER_TLS_KEY_FILE: `${sdsTls}/tls.key`,
      KUMA_KUBERNETES_ADMISSION_SERVER_PORT: port("admission"),
      KUMA_KUBERNETES_ADMISSION_SERVER_CERT_DIR: admissionTls,
    },
    ports: {
      admission: controlPlanePorts.admission,
      "grpc-sds": controlPlanePorts.sds,
      "grpc-xds": controlPlanePorts.xds,
      diagnostics: controlPlanePorts.diagnostics,
      "http-api": controlPlanePorts.api,
      "http-bootstrap": controlPlanePorts.bootstrap,
    },
    probed: { port: controlPlanePorts.diagnostics, scheme: "HTTP" },
    memory: "256Mi",
    mounts: [
      { path: sdsTls, source: { secret: tlsServers.sds.secret } },
      { path: admissionTls, source: { secret: tlsServers.admissionServer.secret } },
      // Envoy checks log formats in a directory there.
      { path: "/tmp", source: "scratch" },
    ],
  };
}

function injector(options: InstallOptions): Program {
  const { namespace, injectorImage, controlPlaneVersion, controlPlaneServiceName, imagePullPolicy } = options;
  const host = `${controlPlaneServiceName}.${namespace}`;
  return {
    app: injectorApp,
    container: "kuma-injector",
    account: injectorAccount,
    replicas: 1,
    image: `${injectorImage}:${controlPlaneVersion}`,
    pullPolicy: imagePullPolicy,
    config: injectorConfig,
    env: {
      KUMA_INJECTOR_WEBHOOK_SERVER_PORT: String(injectorPort),
      KUMA_INJECTOR_WEBHOOK_SERVER_CERT_DIR: injectorTls,
      KUMA_INJECTOR_CONTROL_PLANE_BOOTSTRAP_SERVER_URL: `http://${host}:${controlPlanePorts.bootstrap}`,
      KUMA_INJECTOR_CONTROL_PLANE_API_SERVER_URL: `http://${host}:${controlPlanePorts.api}`,
      KUMA_INJECTOR_SIDECAR_CONTAINER_IMAGE: `${options.dataplaneImage}:${controlPlaneVersion}`,
      KUMA_INJECTOR_INIT_CONTAINER_IMAGE: `${options.dataplaneInitImage}:${options.dataplaneInitVersion}`,
      KUMA_INJECTOR_NATIVE_SIDECAR: options.nativeSidecar,
    },
    ports: { https: injectorPort },
    probed: { port: injectorPort, scheme: "HTTPS" },
    memory: "64Mi",
    mounts: [
      { path: injectorTls, source: { secret: tlsServers.injector.secret } },
      // With the authority of the API server, but without a token, the injector asks which version the cluster has.
      { path: "/var/run/secrets/kubernetes.io/serviceaccount", source: { configMap: "kube-root-ca.crt" } },
    ],
  };
}

export function deployments(options: InstallOptions): Manifest[] {
  return [controlPlane(options), injector(options)].map((program) => deployment(program, options.namespace));
}

/** Draining nodes evicts one instance of the control plane at a time. */
export function disruptionBudget({ namespace }: InstallOptions): Manifest {
  return {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: { name: controlPlaneApp, namespace },
    spec: { maxUnavailable: 1, selector: { matchLabels: { app: controlPlaneApp } } },
  };
}
