/**
 * The FIFO, in kuma-dp's config dir and so in Envoy's working directory, that access logs for TCP collectors pass
 * through. Each line begins with `host:port;`: the control plane has Envoy write it, kuma-dp goes by it.
 */
export const accessLogFifo = "access-logs.fifo";

/** The files that kuma-dp has in its config dir, and that nobody may have Envoy write logs to. */
export const configDirFiles: readonly string[] = [
  "bootstrap.yaml",
  "bootstrap.next.yaml",
  "token",
  "admin.sock",
  "envoy.pid",
  "hot-restart",
  accessLogFifo,
];
