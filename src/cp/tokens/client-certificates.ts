import { X509Certificate } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import { UserError } from "../../lib/errors.js";

export interface ClientCertificates {
  readonly certificates: readonly X509Certificate[];
  /** Files that were ignored because their names don't end in `.pem`. */
  readonly ignored: readonly string[];
}

const suffix = ".pem";
const block = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/**
 * Reads the certificates of all `*.pem` files in a directory; subdirectories are ignored. `setting` names the directory
 * in errors.
 * @throws UserError `client-certificates.*` for a directory without certificates, `client-certificate.*` for a file
 * without any
 */
export async function readClientCertificates(directory: string, setting: string): Promise<ClientCertificates> {
  const names = await readdir(directory).catch((error: unknown) => {
    throw UserError.of("client-certificates.unreadable", { setting, directory, reason: error });
  });
  const certificates: X509Certificate[] = [];
  const ignored: string[] = [];
  for (const name of names.sort()) {
    const file = path.join(directory, name);
    if (!name.endsWith(suffix)) ignored.push(name);
    else if (!(await isDirectory(file))) certificates.push(...(await certificatesOf(file, setting)));
  }
  if (certificates.length > 0) return { certificates, ignored };
  const others = ignored.length === 0 ? "" : ` (it holds ${ignored.join(", ")})`;
  throw UserError.of("client-certificates.none", { setting, directory, suffix, others });
}

/** Follows symbolic links, which Kubernetes uses to mount files. */
async function isDirectory(file: string): Promise<boolean> {
  return (await stat(file).catch(() => undefined))?.isDirectory() ?? false;
}

async function certificatesOf(file: string, setting: string): Promise<X509Certificate[]> {
  const text = await readFile(file, "latin1").catch((error: unknown) => {
    throw UserError.of("client-certificate.unreadable", { file, setting, reason: error });
  });
  const blocks = text.match(block) ?? [];
  if (blocks.length === 0) {
    const instead = text.includes("PRIVATE KEY-----") ? ", but a private key, which belongs to the client alone" : "";
    throw UserError.of("client-certificate.missing", { file, setting, instead });
  }
  try {
    return blocks.map((pem) => new X509Certificate(pem));
  } catch (error) {
    throw UserError.of("client-certificate.malformed", { file, setting }, { cause: error });
  }
}
