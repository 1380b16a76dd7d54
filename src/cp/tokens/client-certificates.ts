import { X509Certificate } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import { messageOf, UserError } from "../../lib/errors.js";

export interface ClientCertificates {
  readonly certificates: readonly X509Certificate[];
  /** Files that were left aside, because their names don't end in `.pem`. */
  readonly ignored: readonly string[];
}

const suffix = ".pem";
const block = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

const refused = (message: string, cause?: unknown) => new UserError("client-certificates.unusable", message, { cause });

/**
 * Reads the certificates of all `*.pem` files of a directory; its subdirectories are left aside. `setting` names the
 * directory in errors.
 * @throws UserError `client-certificates.unusable` for a directory without certificates, and for a file that holds none
 */
export async function readClientCertificates(directory: string, setting: string): Promise<ClientCertificates> {
  const names = await readdir(directory).catch((error: unknown) => {
    throw refused(`${setting} names "${directory}", which can't be read as a directory: ${messageOf(error)}`, error);
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
  throw refused(
    `${setting} names "${directory}", which has no file that ends in ${suffix}${others}: put the certificates of all ` +
      "clients there, such as that of `kumactl generate certificate --type=client --cert=client.pem --key=client.key`",
  );
}

/** Through links, by which Kubernetes mounts files. */
async function isDirectory(file: string): Promise<boolean> {
  return (await stat(file).catch(() => undefined))?.isDirectory() ?? false;
}

async function certificatesOf(file: string, setting: string): Promise<X509Certificate[]> {
  const unusable = (what: string, cause?: unknown) =>
    refused(`"${file}", in the directory that ${setting} names, ${what}`, cause);
  const text = await readFile(file, "latin1").catch((error: unknown) => {
    throw unusable(`can't be read: ${messageOf(error)}`, error);
  });
  const blocks = text.match(block) ?? [];
  if (blocks.length === 0) {
    const instead = text.includes("PRIVATE KEY-----") ? ", but a private key, which belongs to the client alone" : "";
    throw unusable(`holds no certificate in PEM${instead}: take it out`);
  }
  try {
    return blocks.map((pem) => new X509Certificate(pem));
  } catch (error) {
    throw unusable("holds a certificate that can't be parsed: replace it or take it out", error);
  }
}
