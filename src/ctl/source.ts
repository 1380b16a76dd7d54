import { readFile } from "node:fs/promises";
import type { Io } from "../lib/cli.js";
import { UserError } from "../lib/errors.js";
import { parseAddress, send } from "./http.js";

const downloadTimeout = 10_000;
const mostRedirects = 5;

async function readAll(stream: Io["stdin"]): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString("utf8");
}

async function download(first: URL): Promise<string> {
  const deadline = Date.now() + downloadTimeout;
  let url = first;
  for (let redirects = 0; redirects <= mostRedirects; redirects++) {
    const answer = await send({ method: "GET", url, timeout: Math.max(1, deadline - Date.now()) });
    if (answer.status === 200) return answer.body;
    const { location } = answer.headers;
    const redirected = [301, 302, 303, 307, 308].includes(answer.status) && location !== undefined;
    const next = redirected && URL.canParse(location, url.href) ? parseAddress(new URL(location, url).href) : undefined;
    if (!next) throw new Error(`${url.href} answered with status ${answer.status}`);
    // Otherwise a man in the middle could replace the content that the trusted address points to.
    if (url.protocol === "https:" && next.protocol === "http:") throw new Error(`${url.href} redirects to plain http`);
    url = next;
  }
  throw new Error(`${first.href} redirects more than ${mostRedirects} times`);
}

const standardInput = "-";

/**
 * The sources to read, in order: standard input when no FILE is given.
 * @throws UserError("source.repeated") when standard input is given twice, because it can only be read once
 */
export function sourcesOf(files: readonly string[]): readonly string[] {
  if (files.filter((file) => file === standardInput).length > 1) throw UserError.of("source.repeated");
  return files.length === 0 ? [standardInput] : files;
}

/** Reads a FILE argument: a path, a URL, or `-` for standard input. */
export async function readSource(source: string, io: Io): Promise<string> {
  try {
    if (source === standardInput) return await readAll(io.stdin);
    const url = /^https?:\/\//i.test(source) ? parseAddress(source) : undefined;
    return url ? await download(url) : await readFile(source, "utf8");
  } catch (error) {
    throw UserError.of("source.unreadable", { reason: error });
  }
}
