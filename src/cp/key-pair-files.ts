import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { messageOf, UserError } from "../lib/errors.js";

/** A certificate's or a key's file, and the setting that names it. */
export interface PairFile {
  readonly path: string;
  readonly setting: string;
}

const refused = ({ path, setting }: PairFile, what: string, cause?: unknown) =>
  new UserError("key-pair.unusable", `${setting} names "${path}", ${what}`, { cause });

async function read(file: PairFile): Promise<string> {
  try {
    return await readFile(file.path, "utf8");
  } catch (error) {
    throw refused(file, `which can't be read: ${messageOf(error)}`, error);
  }
}

function parsed<T>(file: PairFile, expected: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw refused(file, `which holds no ${expected} in PEM`, error);
  }
}

/**
 * Reads the certificate, its issuers below it if any, and the private key that a TLS server is to present.
 * @returns the PEM texts
 * @throws UserError `key-pair.unusable` that names the setting and the file
 */
export async function readKeyPair(certFile: PairFile, keyFile: PairFile): Promise<{ cert: string; key: string }> {
  const [cert, key] = await Promise.all([read(certFile), read(keyFile)]);
  const certificate = parsed(certFile, "certificate", () => new X509Certificate(cert));
  const privateKey = parsed(keyFile, "private key without a passphrase", () => createPrivateKey(key));
  if (certificate.checkPrivateKey(privateKey)) return { cert, key };
  throw refused(keyFile, `which is not the key of the certificate in "${certFile.path}" (${certFile.setting})`);
}
