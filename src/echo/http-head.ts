/** The first line of an HTTP/1.x request. */
export interface RequestLine {
  readonly protocol: string;
  readonly method: string;
  readonly url: string;
}

/** Only so much of what was read is looked at. */
const headLimit = 1024;

// A target is printable ASCII, so that it can go to a terminal as it is.
const head = /^([!#$%&'*+.^_`|~\w-]+) ([\x21-\x7e]+) (HTTP\/1\.\d)\r?\n((?:[!#$%&'*+.^_`|~\w-]+:[^\r\n]*\r?\n)*)\r?\n/;

/** The request line when the bytes begin with a complete HTTP/1.x request head within 1024 bytes, else undefined. */
export function parseRequestHead(bytes: Buffer): RequestLine | undefined {
  const match = head.exec(bytes.toString("latin1", 0, headLimit));
  const [, method, url, protocol] = match ?? [];
  return method !== undefined && url !== undefined && protocol !== undefined ? { protocol, method, url } : undefined;
}
