/**
 * Words of Envoy, and of the operating system through it, about sockets, addresses and files of the proxy's machine.
 * What they complain of changes without the control plane's doing: a port becomes free, a directory is created.
 */
const aboutTheMachine: readonly RegExp[] = [
  /\bcannot (?:bind|listen)\b/i,
  /\bfailed to (?:bind|listen|open|read)\b/i,
  /\bunable to (?:open|read)\b/i,
  /\baddress (?:already )?in use\b/i,
  // Envoy's other listener may go, or move to another address.
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

/** Whether a proxy may accept later what it refused with these words, although its content stays the same. */
export function mayPass(reason: string): boolean {
  return aboutTheMachine.some((words) => words.test(reason));
}
