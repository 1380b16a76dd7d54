import type { HttpReply } from "../../net/exchange.js";
import { errors, type Title } from "./errors.js";

/** The requested part of a list. */
export interface Page {
  readonly offset: number;
  readonly size: number;
}

const largestPage = 10_000;

/**
 * Reads `size` and `offset` of a query; undefined without either, for the whole list.
 * @returns an error response for invalid values
 */
export function parsePage(query: string, title: Title): Page | HttpReply | undefined {
  if (!query.includes("size") && !query.includes("offset")) return undefined;
  const parameters = new URLSearchParams(query);
  const [size, offset] = [parameters.get("size"), parameters.get("offset")];
  if (size === null) {
    return offset === null ? undefined : errors.badParameter(title, "offset", offset, "possible without size");
  }
  if (!inRange(size, 1, largestPage)) {
    return errors.badParameter(title, "size", shown(size), `a whole number from 1 to ${largestPage}`);
  }
  if (offset !== null && !inRange(offset, 0, Number.MAX_SAFE_INTEGER)) {
    return errors.badParameter(title, "offset", shown(offset), "a whole number from 0");
  }
  return { size: Number(size), offset: Number(offset ?? 0) };
}

const shown = (value: string) => value.slice(0, 100);

const inRange = (text: string, least: number, most: number) =>
  /^[0-9]{1,16}$/.test(text) && Number(text) >= least && Number(text) <= most;

/** The members on the page. */
export const onPage = <T>(members: readonly T[], { offset, size }: Page): readonly T[] =>
  members.slice(offset, offset + size);

/** The `next` link after the items of a page; null after the last page. */
export function pageEnd({ path, query }: { readonly path: string; readonly query: string }, page: Page, of: number) {
  const offset = page.offset + page.size;
  const parameters = new URLSearchParams(query);
  parameters.set("offset", String(offset));
  return `,\n "next": ${offset < of ? JSON.stringify(`${path}?${parameters}`) : "null"}`;
}
