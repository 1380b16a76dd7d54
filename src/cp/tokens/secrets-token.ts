import { randomBytes } from "node:crypto";
import { constants, type FileHandle, open, stat } from "node:fs/promises";
import path from "node:path";
import { UserError } from "../../lib/errors.js";
import { foreignOwner, unsafeDirectory } from "../../lib/ownership.js";

const shortest = 32;
/** Permissions of group and others. */
const others = 0o077;
/** Maximum bytes to read from the file. */
const longest = 64 * 1024;

/**
 * The token that grants access to the control plane's secrets: read from the file, which is created at the first start.
 * Whoever can read the file can read the secrets, so it must be accessible to its owner only; and the owner must be us
 * or root.
 * @throws UserError `secrets-token.*` that names the setting
 */
export async function secretsToken(file: string, setting: string): Promise<string> {
  const named = { setting, file };
  try {
    // Non-blocking, because a FIFO would block until it has a writer.
    const present = await open(file, constants.O_RDONLY | constants.O_NONBLOCK).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code !== "ENOENT") throw error;
      },
    );
    if (present !== undefined) {
      return await readToken(present, named).finally(() => present.close());
    }
    const directory = path.dirname(file);
    const unsafe = unsafeDirectory(await stat(directory));
    if (unsafe !== undefined) throw UserError.of("secrets-token.unsafe", { ...named, directory, problem: unsafe });
    const token = randomBytes(shortest).toString("base64url");
    // Does not follow links: even a dangling one counts as an existing file.
    const made = await open(file, "wx", 0o600);
    await made.writeFile(`${token}\n`).finally(() => made.close());
    return token;
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw UserError.of("secrets-token.unusable", { ...named, reason: error });
  }
}

/** Checks and reads the token in an open file, so that both concern the same file, even if its name is replaced. */
async function readToken(present: FileHandle, named: Readonly<Record<"setting" | "file", string>>): Promise<string> {
  const facts = await present.stat();
  if (!facts.isFile()) throw UserError.of("secrets-token.no-file", named);
  const foreign = foreignOwner(facts);
  if (foreign !== undefined) throw UserError.of("secrets-token.foreign", { ...named, problem: foreign });
  if ((facts.mode & others) !== 0) throw UserError.of("secrets-token.shared", named);
  const { buffer, bytesRead } = await present.read(Buffer.alloc(longest), 0, longest, 0);
  const token = buffer.toString("utf8", 0, bytesRead).trim();
  if (token.length >= shortest && /^[\x21-\x7e]+$/.test(token)) return token;
  throw UserError.of("secrets-token.malformed", { ...named, shortest });
}
