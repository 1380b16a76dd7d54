import { permitted } from "../../policy/permissions.js";
import { trafficPermissionType } from "../../resources/traffic-permission.js";
import { inboundTls, permissionFilter } from "../tls.js";
import { policyEffect } from "./effect.js";

/** While mTLS is on, an inbound takes connections of the permitted services only: by their certificates, and once more. */
export const trafficPermissionEffect = policyEffect(trafficPermissionType, {
  inbound: {
    parametersOf: (table, tags, { tls }) =>
      tls === undefined ? undefined : { tls, permitted: permitted(table, tags) },
    addTo(listener, { tls, permitted: allowed }) {
      listener.filters.push(permissionFilter(tls.mesh, listener.statName, allowed));
      listener.transportSocket = inboundTls({ tls, permitted: allowed });
    },
  },
});
