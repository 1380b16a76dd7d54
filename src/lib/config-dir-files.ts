/**
 * The FIFO for access logs to TCP collectors, in kuma-dp's config dir and so in Envoy's working directory. Each line
 * begins with `host:port;`: the control plane has Envoy write this prefix, and kuma-dp forwards the line accordingly.
 */
export const accessLogFifo = "access-logs.fifo";

/** The files of kuma-dp in its config dir; Envoy must never be configured to write logs to them. */
export const configDirFiles: readonly string[] = [
  "bootstrap.yaml",
  "bootstrap.next.yaml",
  "token",
  "admin.sock",
  "envoy.pid",
  "hot-restart",
  accessLogFifo,
];
