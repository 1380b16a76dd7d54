import { failure } from "./entry.js";

/** kuma-dp: its control plane, its directory and its Envoy. */
export const sidecarErrors = {
  "control-plane.untrusted": failure`the certificate of ${"server"} is not trusted: ${"reason"}. Pass the certificate of
    its authority with --ca-cert-file`,
  "control-plane.not-found": failure`no control plane answers at ${"address"}; tried ${"attempts"}. The address must be a
    bootstrap server's, by default port 5682`,
  "control-plane.unavailable": failure`${"reason"}`,
  "bootstrap.no-dataplane": failure`the control plane does not know this dataplane: ${"answer"}, status: 404. Did you
    first apply a Dataplane resource?`,
  "listener-report.refused": failure`the control plane responded to the report with status ${"status"}`,
  "bootstrap.refused": failure`${"url"}: unexpected status code: ${"status"}${"answer"}`,
  "bootstrap.old": failure`the control plane is too old: its bootstrap is for xDS v2, and Envoy supports v3 only; use the
    kuma-cp of this release`,
  "bootstrap.not-yaml": failure`the control plane's bootstrap is not YAML: ${"problem"}`,
  "bootstrap.malformed": failure`the control plane's bootstrap is not a YAML mapping`,
  "config-dir.unusable": failure`could not use --config-dir ${"directory"}: ${"problem"}`,
  "config-dir.temporary": failure`could not create a directory in ${"directory"}: ${"problem"}`,
  "config-dir.present": failure`could not continue with ${"directory"}: ${"problem"}`,
  "config-dir.in-use": failure`--config-dir ${"directory"} is in use by ${"holder"}`,
  "access-logs.no-fifo": failure`could not create ${"file"}: ${"reason"}`,
  "envoy.not-executable": failure`${"setting"} ${"configured"} is not an Envoy: ${"file"} ${"problem"}`,
  "envoy.not-found": failure`could not find ${"what"}; set ${"setting"}, or put it in one of these places:${"places"}`,
  "envoy.not-started": failure`could not start Envoy ${"binary"}: ${"reason"}`,
  "envoy.failed": failure`Envoy terminated with an error: ${"problem"}`,
  "envoy.unusable": failure`${"binary"} cannot run here: ${"problem"}`,
  "reload.no-executable": failure`the executable ${"program"} no longer exists`,
  "reload.impossible": failure`${"executable"} could not run with the current settings: ${"reason"}`,
} as const;
