/**
 * Error messages of Envoy, or of the operating system through Envoy, about sockets, addresses and files on the proxy's
 * machine. These conditions change without the control plane: a port becomes free, a directory is created.
 */
const aboutTheMachine: readonly RegExp[] = [
  /\bcannot (?:bind|listen)\b/i,
  /\bfailed to (?:bind|listen|open|read)\b/i,
  /\bunable to (?:open|read)\b/i,
  /\baddress (?:already )?in use\b/i,
  // The other listener may be removed, or move to another address.
  /\bduplicate address\b/i,
  /\bcannot assign requested address\b/i,
  /\baddress family not supported\b/i,
  /\bsocket options?\b/i,
  /\bno such (?:file|device)\b/i,
  /\binvalid path\b/i,
  /\bnot a directory\b/i,
  /\bis a directory\b/i,
  /\b(?:permission denied|operation not permitted)\b/i,
  /\bread-only file system\b/i,
  /\bno space left\b/i,
  /\btoo many open files\b/i,
];

/** Whether a proxy that rejected a resource for this reason may accept the same version later. */
export function mayPass(reason: string): boolean {
  return aboutTheMachine.some((words) => words.test(reason));
}
