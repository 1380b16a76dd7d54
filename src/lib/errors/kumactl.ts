import { failure } from "./entry.js";

/** kumactl: its configuration file, its control plane and its output files. */
export const kumactlErrors = {
  "config-file.unreadable": failure`Failed to access configuration file "${"file"}": ${"reason"}`,
  "config-file.unparsable": failure`Failed to parse configuration file "${"file"}": ${"reason"}`,
  "config-file.invalid": failure`Configuration file "${"file"}" is invalid: ${"problem"}`,
  "config-file.unwritable": failure`Failed to write configuration file "${"file"}": ${"reason"}`,
  "config.inactive": failure`active Control Plane is not set. ${"hint"}`,
  "config.broken": failure`apparently, configuration is broken: the active context "${"context"}" refers to no Control
    Plane. ${"hint"}`,
  "control-plane.unnamed": failure`the name of a Control Plane cannot be empty`,
  "control-plane.address": failure`"${"address"}" is not a URL such as http://localhost:5681`,
  "control-plane.credentials": failure`--dataplane-token-client-cert and --dataplane-token-client-key have to be given
    together`,
  "control-plane.exists": failure`Control Plane with name "${"name"}" already exists. Use --overwrite to replace an
    existing one.`,
  "control-plane.unknown": failure`there is no Control Plane with name "${"name"}"`,
  "control-plane.unreachable": failure`could not connect to the Control Plane API Server: ${"reason"}`,
  "control-plane.silent": failure`Control Plane API Server is not responding: status ${"status"}`,
  "control-plane.foreign": failure`provided address is not a valid Kuma Control Plane API Server`,

  "http.unreachable": failure`${"reason"}`,
  "api.unreachable": failure`could not reach the Control Plane at ${"address"}: ${"reason"}`,
  "api.protocol": failure`${"address"} responds, but is not a control plane: ${"problem"}`,
  "api.foreign": failure`${"address"} responds, but is not a control plane: it sent ${"what"} with status ${"status"}. The
    address has to be that of the HTTP API, by default port 5681`,
  "api.proxy": failure`(${"status"}): ${"answer"}`,
  "api.refused": failure`${"title"} (${"details"})`,
  "api.unexpected": failure`the Control Plane sent an unexpected response: ${"reason"}`,
  "api.status": failure`the Control Plane responded to /${"path"} with status ${"status"}`,
  "api.no-authority": failure`the response of ${"address"} is not a certificate authority`,
  "api.older": failure`this Control Plane (version ${"version"}) does not support /${"path"}: it is older than this kumactl`,
  "api.no-dry-run": failure`this Control Plane does not support dry runs; nothing was changed`,
  "api.read-only": failure`${"title"} (${"details"}): the API is read-only; on Kubernetes resources are changed with
    \`kubectl apply\` and \`kubectl delete\``,
  "api.no-rotation": failure`this Control Plane can't rotate certificate authorities`,
  "dataplane.offline": failure`no Envoy of Dataplane "${"dataplane"}" is connected`,
  "dataplane.elsewhere": failure`Envoy of Dataplane "${"dataplane"}" is connected to another control plane (instance
    ${"instances"}): send the request there`,

  "token-client.unavailable": failure`failed to create dataplane token client: ${"reason"}`,
  "token-client.address": failure`failed to create dataplane token client: the Control Plane's catalogue gives
    "${"address"}" as the address of its Dataplane Token Server`,
  "token-client.disabled": failure`failed to create dataplane token client: Enable the server on the Control Plane to be
    able to generate tokens (KUMA_DATAPLANE_TOKEN_SERVER_ENABLED=true).`,
  "token-client.kubernetes": failure`there are no dataplane tokens on Kubernetes, and none are needed: sidecars prove who
    they are by the ServiceAccount token of their pod`,
  "token-client.remote": failure`failed to create dataplane token client: the Control Plane runs on another machine, but
    ${"missing"}.\n${"remedies"}`,
  "token-client.unreadable": failure`failed to create dataplane token client: the client certificate can't be read:
    ${"reason"}`,
  "token-client.mismatch": failure`failed to create dataplane token client: "${"certFile"}" and "${"keyFile"}" are not a
    certificate and its key, both in PEM`,
  "token-server.unreachable": failure`failed to generate a dataplane token: could not reach ${"server"}: ${"reason"}${"hint"}`,
  "token-server.endless": failure`failed to generate a dataplane token: ${"server"} does not support --valid-for, like Kuma 0.3:
    its token would never expire, so it is not shown; omit --valid-for to get such a token`,
  "token-server.unexpected": failure`failed to generate a dataplane token: the response of ${"server"} is not a
    token`,
  "token-server.refused": failure`failed to generate a dataplane token: unexpected status code ${"status"}${"answer"}.
    Expected 200`,

  "secrets.unavailable": failure`the secrets are not available: ${"reason"}`,
  "secrets.token-unreadable": failure`the secrets are not available: "${"file"}" can't be read: ${"reason"}`,
  "secrets.token-empty": failure`the secrets are not available: "${"file"}" is empty`,
  "secrets.remote": failure`the secrets are not available: run this command on the machine of the Control Plane`,
  "secrets.unreachable": failure`the secrets are not available: could not reach ${"server"}: ${"reason"}`,
  "secrets.disabled": failure`the secrets are not available: set
    KUMA_DATAPLANE_TOKEN_SERVER_LOCAL_SECRETS_TOKEN_FILE of the Control Plane to this file`,
  "secrets.unexpected": failure`the secrets are not available: the response is not a list`,

  "certificate.type": failure`--type has to be either "client" or "server"`,
  "certificate.hostname": failure`--cp-hostname is only for a certificate of --type server`,
  "certificate.unwritable": failure`failed to write "${"file"}": ${"reason"}`,
  "install.form": failure`has to be ${"expected"}`,
  "install.half-pair": failure`${"server"}: both TLS Cert and TLS Key must be provided at the same time`,
  "install.pair": failure`${"server"}: ${"problem"}`,
  "install.secrets": failure`--tls-secrets ${"source"}: ${"problem"}`,
  "install.unwritable": failure`failed to write the chart to "${"directory"}": ${"reason"}`,
  "schema.unknown": failure`unknown target type: ${"target"}`,
} as const;
