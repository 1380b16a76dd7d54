import path from "node:path";
import { runProgram } from "./cluster.js";

export interface ImageArchive {
  /** By which pods run it. */
  readonly name: string;
  /** The path, for `importImage`. */
  readonly file: string;
}

const script = path.resolve(import.meta.dirname, "..", "..", "scripts", "kubernetes", "kuma-image.mjs");

/** Stands in for kuma-init until that program exists: it ends at once and redirects nothing. */
export const initStandIn = "localhost/kuma-init-without-redirection";

/**
 * The image of our own programs, around the executable in dist/bin, in an archive that also has those that manifests name,
 * such as localhost/kuma-cp, and the stand-in. It is made when the executable has changed, which takes half a minute,
 * because Debian's packages are fetched for it.
 */
export async function kumaImage(): Promise<ImageArchive> {
  const { status, stdout, stderr } = await runProgram([process.execPath, script], "", 300_000);
  if (status !== 0) throw new Error(`the image of our own programs could not be made: ${stderr}`);
  return JSON.parse(stdout) as ImageArchive;
}
