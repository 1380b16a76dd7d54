import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { type Authority, readAuthority } from "../../../src/identity/authority.js";
import type { KeyType } from "../../../src/identity/key-pair.js";
import { createRoot, type Root } from "../../../src/identity/root.js";
import { UserError } from "../../../src/lib/errors.js";

export const day = 24 * 3600 * 1000;
export const keyTypes = ["ecdsa-p256", "rsa-2048"] as const satisfies readonly KeyType[];

/** A temporary directory for input of the openssl command. */
export function createScratch() {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-identity-"));
  return {
    write(name: string, content: string): string {
      const file = path.join(directory, name);
      fs.writeFileSync(file, content);
      return file;
    },
    remove: () => fs.rmSync(directory, { recursive: true, force: true }),
  };
}

/** The output of the openssl command; its error output is the error's message. */
export function openssl(args: readonly string[], input?: string): string {
  return execFileSync("openssl", args, { encoding: "utf8", stdio: "pipe", ...(input === undefined ? {} : { input }) });
}

export const describe = (pem: string): string => openssl(["x509", "-noout", "-text"], pem);

const base64 = (pem: string): string => Buffer.from(pem).toString("base64");

/** A root as in the value of the mesh's Secret. */
export const rootEntry = ({ cert, key }: Root) => ({ cert: base64(cert), key: base64(key) });

export const secretOf = (...roots: readonly Root[]): string => JSON.stringify({ roots: roots.map(rootEntry) });

/** An authority with new roots, the first of which signs. */
export async function createAuthority(mesh: string, ...types: readonly KeyType[]): Promise<Authority> {
  const now = new Date();
  const roots = await Promise.all(types.map((keyType) => createRoot({ mesh, keyType, now })));
  return readAuthority(secretOf(...roots));
}

/** The UserError that an action throws; any other exception is a bug. */
export async function refusal(action: () => unknown): Promise<UserError> {
  try {
    await action();
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}
