/** One operation of a JSON patch (RFC 6902); admission webhooks of this project only ever add. */
export interface AddOperation {
  readonly op: "add";
  /** A JSON pointer; `-` as its last segment appends to a list. */
  readonly path: string;
  readonly value: unknown;
}

/** A JSON pointer (RFC 6901) to these segments, with `~` and `/` in them escaped. */
export const pointer = (...segments: readonly (string | number)[]): string =>
  segments.map((segment) => `/${String(segment).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");

export const add = (path: string, value: unknown): AddOperation => ({ op: "add", path, value });
