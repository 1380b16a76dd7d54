import path from "node:path";
import { runProgram } from "./cluster.js";

const script = path.resolve(import.meta.dirname, "..", "..", "scripts", "kubernetes", "kuma-images.mjs");

/** Stands in for kuma-init until that program exists: it ends at once and redirects nothing. */
export const initStandIn = "localhost/kuma-init-without-redirection";

/**
 * The images that printed manifests name, around the executable in dist/bin, but for that of kuma-init. They are made when
 * the executable has changed, which takes a quarter of a minute. @returns the path of their archive, for `importImage`
 */
export async function kumaImages(): Promise<string> {
  const { status, stdout, stderr } = await runProgram([process.execPath, script], "", 300_000);
  if (status !== 0) throw new Error(`the images of our own programs could not be made: ${stderr}`);
  return stdout.trim();
}
