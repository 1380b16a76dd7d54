import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { UserError } from "../lib/errors.js";

/** The file of a certificate or key, and the setting that names it. */
export interface PairFile {
  readonly path: string;
  readonly setting: string;
}

/** The certificate chain and the private key of a TLS server, as PEM texts. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

async function read(file: PairFile): Promise<string> {
  try {
    return await readFile(file.path, "utf8");
  } catch (error) {
    throw UserError.of("setting.unreadable", { setting: file.setting, file: file.path, reason: error });
  }
}

function parsed<T>(file: PairFile, expected: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw UserError.of("key-pair.malformed", { setting: file.setting, file: file.path, expected }, { cause: error });
  }
}

/**
 * Reads the certificate chain and the private key of a TLS server.
 * @throws UserError `setting.unreadable`, `key-pair.malformed` or `key-pair.mismatch`, which name the setting and the
 * file
 */
export async function readKeyPair(certFile: PairFile, keyFile: PairFile): Promise<KeyPair> {
  const [cert, key] = await Promise.all([read(certFile), read(keyFile)]);
  const certificate = parsed(certFile, "certificate", () => new X509Certificate(cert));
  const privateKey = parsed(keyFile, "private key without a passphrase", () => createPrivateKey(key));
  if (certificate.checkPrivateKey(privateKey)) return { cert, key };
  throw UserError.of("key-pair.mismatch", {
    setting: keyFile.setting,
    file: keyFile.path,
    certFile: certFile.path,
    certSetting: certFile.setting,
  });
}
