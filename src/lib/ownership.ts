/** What `fstat` tells of a file or directory, as far as trust in it depends on that. */
export interface FileFacts {
  readonly uid: number;
  readonly mode: number;
}

const writableByOthers = 0o022;
/** Where it is set, a directory's entries belong to who made them: /tmp. */
const sticky = 0o1000;

/**
 * Who could change the content under us, as an ending of "… which": another user that owns it. Root and the user `uid`
 * are trusted; undefined when the owner is one of them.
 */
export function foreignOwner({ uid: owner }: FileFacts, uid = process.getuid?.() ?? 0): string | undefined {
  return owner === uid || owner === 0 ? undefined : `belongs to user ${owner}, not to user ${uid} or root`;
}

/**
 * Why no secret may be written into a directory, as an ending of "… which": another user owns it, or others may
 * replace what it holds. Undefined when it may.
 */
export function unsafeDirectory(facts: FileFacts, uid = process.getuid?.() ?? 0): string | undefined {
  const foreign = foreignOwner(facts, uid);
  if (foreign !== undefined) return foreign;
  const permissions = facts.mode & 0o7777;
  if ((permissions & writableByOthers) === 0 || (permissions & sticky) !== 0) return undefined;
  return `others may write to (its mode is ${permissions.toString(8).padStart(4, "0")}; chmod go-w mends that)`;
}
