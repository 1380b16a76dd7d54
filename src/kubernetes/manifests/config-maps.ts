import type { Manifest } from "./manifest.js";
import { yamlOf } from "./yaml.js";

export const controlPlaneConfig = "kuma-control-plane-config";
export const injectorConfig = "kuma-injector-config";

/** What the environment of the Deployment does not set; whoever installs may add to it. */
const controlPlane = { environment: "kubernetes" };

/** The injector's settings for the containers that it adds, at their defaults, for whoever wants others. */
const injector = {
  injector: {
    sidecarContainer: {
      redirectPort: 15001,
      uid: 5678,
      gid: 5678,
      adminPort: 9901,
      healthPort: 9902,
      drainTime: "30s",
      readinessProbe: {
        initialDelaySeconds: 1,
        timeoutSeconds: 3,
        periodSeconds: 5,
        successThreshold: 1,
        failureThreshold: 12,
      },
      livenessProbe: { initialDelaySeconds: 60, timeoutSeconds: 3, periodSeconds: 5, failureThreshold: 12 },
      resources: { requests: { cpu: "50m", memory: "64Mi" }, limits: { cpu: "1000m", memory: "512Mi" } },
    },
  },
};

/** The settings files of both programs. */
export function configMaps(namespace: string): Manifest[] {
  const files = { [controlPlaneConfig]: controlPlane, [injectorConfig]: injector };
  return Object.entries(files).map(([name, settings]) => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace },
    data: { "config.yaml": yamlOf(settings) },
  }));
}
