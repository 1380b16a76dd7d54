import { randomBytes } from "node:crypto";
import { constants, type FileHandle, open, stat } from "node:fs/promises";
import path from "node:path";
import { messageOf, UserError } from "../../lib/errors.js";
import { foreignOwner, unsafeDirectory } from "../../lib/ownership.js";

const shortest = 32;
/** Permissions of everybody but the owner. */
const others = 0o077;
/** Bytes of the file that are looked at. */
const longest = 64 * 1024;

/**
 * The token that opens the control plane's secrets: what the file holds, made at the first start. Who can read the file
 * may as well read the secrets, so it has to be the owner's alone; and whoever owns it knows it, so that has to be us or
 * root.
 * @throws UserError `secrets-token.unusable` that names the setting
 */
export async function secretsToken(file: string, setting: string): Promise<string> {
  const refused = (what: string, cause?: unknown) =>
    new UserError("secrets-token.unusable", `${setting} names "${file}", ${what}`, { cause });
  try {
    // A FIFO would have us wait for its writer.
    const present = await open(file, constants.O_RDONLY | constants.O_NONBLOCK).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code !== "ENOENT") throw error;
      },
    );
    if (present !== undefined) {
      return await readToken(present, refused).finally(() => present.close());
    }
    const directory = path.dirname(file);
    const unsafe = unsafeDirectory(await stat(directory));
    if (unsafe !== undefined) throw refused(`which can't be made safely: "${directory}" is a directory that ${unsafe}`);
    const token = randomBytes(shortest).toString("base64url");
    // It follows no link: one that leads nowhere is a file that is there already.
    const made = await open(file, "wx", 0o600);
    await made.writeFile(`${token}\n`).finally(() => made.close());
    return token;
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw refused(`which can be neither read nor made: ${messageOf(error)}`, error);
  }
}

/** The token in an open file: what is checked is what is read, whatever becomes of its name. */
async function readToken(present: FileHandle, refused: (what: string) => UserError): Promise<string> {
  const facts = await present.stat();
  if (!facts.isFile()) throw refused("which is no file");
  const foreign = foreignOwner(facts);
  if (foreign !== undefined) throw refused(`which ${foreign}: whoever owns it can read all secrets`);
  if ((facts.mode & others) !== 0) {
    throw refused(
      "which others than its owner have access to: whoever reads it can read all secrets; chmod it to 0600",
    );
  }
  const { buffer, bytesRead } = await present.read(Buffer.alloc(longest), 0, longest, 0);
  const token = buffer.toString("utf8", 0, bytesRead).trim();
  if (token.length >= shortest && /^[\x21-\x7e]+$/.test(token)) return token;
  throw refused(`which holds no token of at least ${shortest} visible characters; delete it for a new one`);
}
