import { template } from "./entry.js";

/** Contexts that can be put around the message (`reason`) of an error; its id stays. */
export const contexts = {
  /** The other lines say which of several documents failed, and what happened to the others. */
  document: template`${"reason"}\n${"lines"}`,
  listing: template`failed to list ${"kinds"}: ${"reason"}`,
  meshListing: template`${"type"} of mesh "${"mesh"}": ${"reason"}`,
  wayOut: template`${"reason"}; ${"wayOut"}`,
} as const;
