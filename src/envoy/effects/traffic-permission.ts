import { permitted } from "../../policy/permissions.js";
import { trafficPermissionType } from "../../resources/traffic-permission.js";
import { inboundTls, permissionFilter } from "../tls.js";
import { policyEffect } from "./effect.js";

/** With mTLS, an inbound accepts only permitted services: checked in the TLS handshake and again by an RBAC filter. */
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
