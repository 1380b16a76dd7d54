import { UserError } from "../lib/errors.js";
import { visible } from "../lib/visible.js";
import type { Answer } from "../net/http-client.js";

/** Longer excerpts of another server's answer would not help. */
const longestExcerpt = 1_000;
export const excerpt = (text: string): string =>
  text.length > longestExcerpt ? `${text.slice(0, longestExcerpt)}…` : text;

const longestQuoted = 200;

/** Describes an answer of another server: it may be long, so it is not printed. */
function kindOf({ headers, body }: Answer): string {
  const type = headers["content-type"] ?? "";
  const text = body.trimStart();
  if (text === "") return "no text";
  if (/^text\/html\b/i.test(type) || /^<(?:!doctype html|html)\b/i.test(text)) {
    const title = /<title[^>]*>([^<]{1,80})/i.exec(text)?.[1]?.replaceAll(/\s+/g, " ").trim();
    return title === undefined || title === "" ? "an HTML page" : `an HTML page, "${visible(title)}"`;
  }
  if (/^[{[]/.test(text)) return "JSON of another server";
  return type === "" ? "something else" : `something else (${visible(type.slice(0, 80))})`;
}

/** The error for an answer that does not come from a control plane. */
export function foreignAnswer(address: URL, answer: Answer): UserError {
  const { status, body } = answer;
  const short = body.trim();
  const isPlain = short.length <= longestQuoted && !/[\r\n]/.test(short) && !/^[<{[]/.test(short);
  // A proxy's one-line message, such as 502 Bad Gateway, says more than our description.
  if (status !== 200 && short !== "" && isPlain) return UserError.of("api.proxy", { status, answer: visible(short) });
  return UserError.of("api.foreign", { address: shown(address), what: kindOf(answer), status });
}

/** The error for an answer that is not HTTP; undefined for other failures. */
export function foreignProtocol(address: URL, error: unknown): UserError | undefined {
  const { code = "", rawPacket } = (error ?? {}) as { code?: string; rawPacket?: unknown };
  const speaks = (problem: string) =>
    UserError.of("api.protocol", { address: shown(address), problem }, { cause: error });
  if (code.startsWith("HPE_")) {
    // The TLS records with which a server answers a request that is not a handshake: alert and handshake.
    const tls = Buffer.isBuffer(rawPacket) && (rawPacket[0] === 0x15 || rawPacket[0] === 0x16) && rawPacket[1] === 3;
    return speaks(tls ? "it speaks TLS, so that its address begins with https://" : "it doesn't speak HTTP");
  }
  if (code === "EPROTO" || code === "ERR_SSL_WRONG_VERSION_NUMBER" || code === "ERR_SSL_PACKET_LENGTH_TOO_LONG") {
    return speaks(`it doesn't speak TLS; is it http://${address.host}?`);
  }
  return undefined;
}

export const shown = (address: URL) => address.href.replace(/\/$/, "");
