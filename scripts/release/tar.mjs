// Archives whose bytes only depend on their entries.
import { createHash } from "node:crypto";
import fs from "node:fs";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { pack } from "tar-stream";

/** The parent directories of the entries that are not entries themselves. */
function missingDirectories(entries) {
  const said = new Set(entries.map(({ name }) => name));
  const missing = new Set();
  for (const { name } of entries) {
    const parts = name.split("/").slice(0, -1);
    for (const [index] of parts.entries()) {
      const directory = parts.slice(0, index + 1).join("/");
      if (!said.has(directory)) missing.add(directory);
    }
  }
  return [...missing].map((name) => ({ name, directory: true }));
}

function header({ name, mode, owner = 0, link, directory, size }, time) {
  const common = { name, mtime: time, uid: owner, gid: owner, uname: "", gname: "" };
  if (directory) return { ...common, name: `${name}/`, type: "directory", mode: mode ?? 0o755, size: 0 };
  if (link !== undefined) return { ...common, type: "symlink", linkname: link, mode: 0o777, size: 0 };
  return { ...common, type: "file", mode: mode ?? 0o644, size };
}

async function add(archive, entry, time) {
  if (entry.file === undefined) {
    const data = Buffer.from(entry.data ?? "");
    archive.entry(header({ ...entry, size: data.length }, time), data);
    return;
  }
  const { size } = fs.statSync(entry.file);
  await pipeline(fs.createReadStream(entry.file), archive.entry(header({ ...entry, size }, time)));
}

/**
 * Writes entries as a tar archive to `file`, sorted by name; `compress` makes it a gzip file without name and time. An
 * entry has a `name` (relative, with slashes), an optional `mode` and `owner` (a user and group ID, 0 by default), and
 * one of `data` (text or bytes), `file` (path to read from), `link` (a symlink's target) or `directory: true`. Every
 * entry gets `time`; missing parent directories are added.
 * @returns the SHA-256 in hexadecimal and the size in bytes
 */
export async function writeTar(file, entries, { time, compress = false }) {
  const all = [...entries, ...missingDirectories(entries)].sort((a, b) => (a.name < b.name ? -1 : 1));
  const twice = all.find(({ name }, index) => name === all[index + 1]?.name);
  if (twice !== undefined) throw new Error(`${twice.name} would be twice in ${file}`);
  const archive = pack();
  const hash = createHash("sha256");
  let size = 0;
  const sum = new Transform({
    transform(chunk, _encoding, done) {
      hash.update(chunk);
      size += chunk.length;
      done(undefined, chunk);
    },
  });
  const steps = compress ? [archive, createGzip(), sum] : [archive, sum];
  const written = pipeline(...steps, fs.createWriteStream(file));
  const filled = (async () => {
    for (const entry of all) await add(archive, entry, time);
    archive.finalize();
  })();
  await Promise.all([written, filled]);
  return { sha256: hash.digest("hex"), size };
}
