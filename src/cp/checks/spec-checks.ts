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

/** Each run of Envoy takes 50 ms and 65 MB. */
const askedAtOnce = 2;
const waitingToAsk = 32;

/**
 * Checks of resources beyond what their types can validate alone.
 * @param own the current servers of this control plane
 * @param envoy the Envoy to validate with, if there is one
 */
export function specChecks(own: () => OwnServers | undefined, envoy?: BundledEnvoy): ReadonlyMap<string, SpecCheck> {
  const semaphore = createSemaphore(askedAtOnce, waitingToAsk);
  const [mesh, template] = [meshCheck(envoy, semaphore), templateCheck(envoy, semaphore, own)];
  // The API only passes specs that the type has decoded.
  const dataplane = dataplaneCheck(own);
  return new Map<string, SpecCheck>([
    [dataplaneType.name, (spec) => dataplane(spec as Dataplane)],
    [meshType.name, (spec) => mesh(spec as Mesh)],
    [proxyTemplateType.name, (spec) => template(spec as ProxyTemplate)],
  ]);
}
