import type { OwnServers } from "../../envoy/own-servers.js";
import { createSemaphore } from "../../lib/semaphore.js";
import { type Dataplane, dataplaneType } from "../../resources/dataplane.js";
import { type Mesh, meshType } from "../../resources/mesh.js";
import { type ProxyTemplate, proxyTemplateType } from "../../resources/proxy-template.js";
import type { SpecCheck } from "../api/endpoint.js";
import type { BundledEnvoy } from "./bundled-envoy.js";
import { dataplaneCheck } from "./dataplane.js";
import { meshCheck } from "./mesh.js";
import { templateCheck } from "./proxy-template.js";

/** An Envoy takes 50 ms and 65 MB to answer. */
const askedAtOnce = 2;
const waitingToAsk = 32;

/**
 * What is checked of resources besides what their types can check alone.
 * @param own the servers of this control plane as they are now
 * @param envoy the one to ask, if there is one
 */
export function specChecks(own: () => OwnServers | undefined, envoy?: BundledEnvoy): ReadonlyMap<string, SpecCheck> {
  const semaphore = createSemaphore(askedAtOnce, waitingToAsk);
  const [mesh, template] = [meshCheck(envoy, semaphore), templateCheck(envoy, semaphore, own)];
  // The API only passes on specs that the type has read.
  const dataplane = dataplaneCheck(own);
  return new Map<string, SpecCheck>([
    [dataplaneType.name, (spec) => dataplane(spec as Dataplane)],
    [meshType.name, (spec) => mesh(spec as Mesh)],
    [proxyTemplateType.name, (spec) => template(spec as ProxyTemplate)],
  ]);
}
