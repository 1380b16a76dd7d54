import type { Manifest } from "./manifest.js";
import type { InstallOptions } from "./options.js";
import { controlPlanePorts, injectorPort, webhookPort } from "./ports.js";

export const controlPlaneApp = "kuma-control-plane";
export const injectorApp = "kuma-injector";

type Port = readonly [name: string, port: number, targetPort?: number];

/** The diagnostics port has no Service: probes connect to the pod. */
const controlPlane: readonly Port[] = [
  ["https-admission-server", webhookPort, controlPlanePorts.admission],
  ["grpc-sds", controlPlanePorts.sds],
  ["grpc-xds", controlPlanePorts.xds],
  ["http-api-server", controlPlanePorts.api],
  ["http-bootstrap-server", controlPlanePorts.bootstrap],
];

function service(name: string, namespace: string, app: string, ports: readonly Port[]): Manifest {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace },
    spec: {
      selector: { app },
      ports: ports.map(([title, port, targetPort = port]) => ({ name: title, port, protocol: "TCP", targetPort })),
    },
  };
}

export function services(options: InstallOptions): Manifest[] {
  const { namespace, controlPlaneServiceName, injectorServiceName } = options;
  return [
    service(controlPlaneServiceName, namespace, controlPlaneApp, controlPlane),
    service(injectorServiceName, namespace, injectorApp, [["https", webhookPort, injectorPort]]),
  ];
}
