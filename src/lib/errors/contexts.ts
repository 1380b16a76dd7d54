import { template } from "./entry.js";

/** What can stand around the message (`reason`) of an error that stays what it is. */
export const contexts = {
  /** The other lines say which of several documents it was, and what became of the others. */
  document: template`${"reason"}\n${"lines"}`,
  listing: template`failed to list ${"kinds"}: ${"reason"}`,
  meshListing: template`${"type"} of mesh "${"mesh"}": ${"reason"}`,
  wayOut: template`${"reason"}; ${"wayOut"}`,
} as const;
