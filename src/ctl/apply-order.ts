import { UserError } from "../lib/errors.js";
import { visible } from "../lib/visible.js";
import type { Applicable } from "./documents.js";

/** Most resources to name in a sentence. */
const mostNamed = 10;

const titleOf = ({ resource }: Applicable) => `${resource.type} "${visible(resource.name)}"`;

function named(documents: readonly Applicable[]): string {
  const more = documents.length - mostNamed;
  return [...documents.slice(0, mostNamed).map(titleOf), ...(more > 0 ? [`${more} more`] : [])].join(", ");
}

/**
 * Applies the documents in order. With `dryRun` they are only validated.
 * @throws what `apply` throws for the first document that fails, with what was applied before it and what was not
 */
export async function inOrder(
  documents: readonly Applicable[],
  dryRun: boolean,
  apply: (document: Applicable) => Promise<void>,
): Promise<void> {
  for (const [index, document] of documents.entries()) {
    try {
      await apply(document);
    } catch (error) {
      throw documents.length > 1 ? located(error, documents, index, dryRun) : error;
    }
  }
}

function located(error: unknown, documents: readonly Applicable[], index: number, dryRun: boolean): unknown {
  const document = documents[index];
  if (!(error instanceof UserError) || document === undefined) return error;
  const { place } = document;
  const lines = [`in ${place}, ${titleOf(document)}`];
  if (!dryRun) {
    // Without an answer the change may still have been made.
    const doubtful = error.id === "api.unreachable" || error.id === "api.protocol";
    const left = documents.slice(doubtful ? index + 1 : index);
    lines.push(`applied: ${index === 0 ? "nothing" : named(documents.slice(0, index))}`);
    if (doubtful) lines.push(`applied or not, which is not known: ${titleOf(document)}`);
    if (left.length > 0) lines.push(`not applied: ${named(left)}`);
  }
  return error.within("document", { lines: lines.join("\n") });
}

/** A warning for each resource that appears in several documents: the last one replaces the others. */
export function repeatedResources(documents: readonly Applicable[]): string[] {
  const places = new Map<string, { readonly title: string; readonly places: string[] }>();
  for (const document of documents) {
    const { type, mesh, name } = document.resource;
    const key = JSON.stringify([type, mesh, name]);
    const known = places.get(key);
    if (known === undefined) places.set(key, { title: titleOf(document), places: [document.place] });
    else known.places.push(document.place);
  }
  return [...places.values()]
    .filter((entry) => entry.places.length > 1)
    .map(({ title, places: all }) => {
      const [first, last] = [all[0], all.at(-1)];
      return `${title} is in ${first} and again in ${last}: the last one replaces what came before it`;
    });
}
