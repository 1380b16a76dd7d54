import { createHash } from "node:crypto";
import { sha256 } from "../fetch-envoy.mjs";

/** The SHA-256 in hexadecimal of an archive entry's content; undefined when it is not a file. */
function sumOf({ data, file }) {
  if (file !== undefined) return sha256(file);
  return data === undefined ? undefined : createHash("sha256").update(data).digest("hex");
}

/** The text of a SHA256SUMS file, for `sha256sum --check`, from names and checksums. */
export function sumsText(sums) {
  return [...sums]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, sha256: sum }) => `${sum}  ${name}\n`)
    .join("");
}

/** The text of a SHA256SUMS file for an archive's files. */
export function entrySums(entries) {
  return sumsText(
    entries.map((entry) => ({ name: entry.name, sha256: sumOf(entry) })).filter(({ sha256: sum }) => sum),
  );
}
