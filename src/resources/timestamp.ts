import { decimals } from "./duration.js";

const pattern = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

/** The range of protobuf's Timestamp: the years 1 to 9999. */
const earliest = Date.parse("0001-01-01T00:00:00Z");
const latest = Date.parse("9999-12-31T23:59:59Z");

/** A time in RFC 3339 as proto3 JSON spells it (UTC, 0, 3, 6 or 9 decimals), or undefined if invalid. */
export function normalTimestamp(text: string): string | undefined {
  const match = pattern.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second, fraction = "", sign, offsetHour = "0", offsetMinute = "0"] = match;
  const local = `${year}-${month}-${day}T${hour}:${minute}:${second}`;
  const parsed = Date.parse(`${local}Z`);
  // Date reads 31 February as 3 March, and 24:00 as the next day: neither prints as it was written.
  if (Number.isNaN(parsed) || !new Date(parsed).toISOString().startsWith(local)) return undefined;
  if (Number(offsetHour) > 23 || Number(offsetMinute) > 59) return undefined;
  const offset = (Number(offsetHour) * 60 + Number(offsetMinute)) * (sign === "-" ? -60_000 : 60_000);
  const utc = parsed - offset;
  if (utc < earliest || utc > latest) return undefined;
  return `${new Date(utc).toISOString().slice(0, 19)}${decimals(fraction)}Z`;
}
