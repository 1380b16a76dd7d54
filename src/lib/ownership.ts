/** The `fstat` fields that decide whether a file or directory can be trusted. */
export interface FileFacts {
  readonly uid: number;
  readonly mode: number;
}

const writableByOthers = 0o022;
/** In a directory with this bit, such as /tmp, only the owner of an entry may replace it. */
const sticky = 0o1000;

/**
 * The problem with the owner, who could change the content at any time, to complete "… which"; undefined if the owner
 * is trusted: root or the user `uid`.
 */
export function foreignOwner({ uid: owner }: FileFacts, uid = process.getuid?.() ?? 0): string | undefined {
  return owner === uid || owner === 0 ? undefined : `belongs to user ${owner}, not to user ${uid} or root`;
}

/**
 * Why no secret may be written to a directory, to complete "… which": another user owns it, or others may replace its
 * files. Undefined if it is safe.
 */
export function unsafeDirectory(facts: FileFacts, uid = process.getuid?.() ?? 0): string | undefined {
  const foreign = foreignOwner(facts, uid);
  if (foreign !== undefined) return foreign;
  const permissions = facts.mode & 0o7777;
  if ((permissions & writableByOthers) === 0 || (permissions & sticky) !== 0) return undefined;
  return `others may write to (its mode is ${permissions.toString(8).padStart(4, "0")}; chmod go-w fixes that)`;
}
