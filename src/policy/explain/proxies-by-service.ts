import type { MeshView, ProxyView } from "../../view/mesh-view.js";

type ByService = ReadonlyMap<string, readonly ProxyView[]>;

/** Cached per set of dataplanes: explaining every outbound would otherwise iterate over all dataplanes each time. */
const indexes = new WeakMap<MeshView["proxies"], ByService>();

function indexOf(proxies: MeshView["proxies"]): ByService {
  const found = new Map<string, ProxyView[]>();
  for (const proxy of [...proxies.values()].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    for (const service of new Set(proxy.inbounds.map((inbound) => inbound.service))) {
      const others = found.get(service);
      if (others === undefined) found.set(service, [proxy]);
      else others.push(proxy);
    }
  }
  return found;
}

/** The dataplanes with an inbound of the service, sorted by name, including those without usable endpoints. */
export function proxiesWith({ proxies }: MeshView, service: string): readonly ProxyView[] {
  let index = indexes.get(proxies);
  if (index === undefined) {
    index = indexOf(proxies);
    indexes.set(proxies, index);
  }
  return index.get(service) ?? [];
}
