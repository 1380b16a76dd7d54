/** The first line of an HTTP/1.x request. */
export interface RequestLine {
  readonly protocol: string;
  readonly method: string;
  readonly url: string;
}

/** Longer request heads are not recognized. */
const headLimit = 1024;

// A target is printable ASCII, so it can be written to a terminal unchanged.
const head = /^([!#$%&'*+.^_`|~\w-]+) ([\x21-\x7e]+) (HTTP\/1\.\d)\r?\n((?:[!#$%&'*+.^_`|~\w-]+:[^\r\n]*\r?\n)*)\r?\n/;

/** The request line if the bytes begin with a complete HTTP/1.x request head of at most 1024 bytes, else undefined. */
export function parseRequestHead(bytes: Buffer): RequestLine | undefined {
  const match = head.exec(bytes.toString("latin1", 0, headLimit));
  const [, method, url, protocol] = match ?? [];
  return method !== undefined && url !== undefined && protocol !== undefined ? { protocol, method, url } : undefined;
}
