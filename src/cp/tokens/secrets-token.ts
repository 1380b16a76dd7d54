import { randomBytes } from "node:crypto";
import { open, readFile, stat } from "node:fs/promises";
import { messageOf, UserError } from "../../lib/errors.js";

const shortest = 32;
/** Permissions of everybody but the owner. */
const others = 0o077;

/**
 * The token that opens the control plane's secrets: what the file holds, made at the first start. Who can read the file
 * may as well read the secrets, so it has to be the owner's alone.
 * @throws UserError `secrets-token.unusable` that names the setting
 */
export async function secretsToken(file: string, setting: string): Promise<string> {
  const refused = (what: string, cause?: unknown) =>
    new UserError("secrets-token.unusable", `${setting} names "${file}", ${what}`, { cause });
  try {
    const made = await open(file, "wx", 0o600).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
    if (made !== undefined) {
      const token = randomBytes(shortest).toString("base64url");
      await made.writeFile(`${token}\n`).finally(() => made.close());
      return token;
    }
    if (((await stat(file)).mode & others) !== 0) {
      throw refused(
        "which others than its owner have access to: whoever reads it can read all secrets; chmod it to 0600",
      );
    }
    const token = (await readFile(file, "utf8")).trim();
    if (token.length >= shortest && /^[\x21-\x7e]+$/.test(token)) return token;
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw refused(`which can be neither read nor made: ${messageOf(error)}`, error);
  }
  throw refused(`which holds no token of at least ${shortest} visible characters; delete it for a new one`);
}
