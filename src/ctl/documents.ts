import { type Cause, UserError } from "../lib/errors.js";
import { nearest } from "../lib/suggest.js";
import { visible } from "../lib/visible.js";
import { fromJson, readEnvelope } from "../resources/envelope.js";
import type { Registry } from "../resources/registry.js";
import type { Resource, ResourceType } from "../resources/resource.js";
import { secretType } from "../resources/secret.js";

/** A document that can be sent: complete, of a known type, without unknown fields. */
export interface Applicable {
  readonly type: ResourceType;
  readonly resource: Resource;
  /** Its position among the documents, such as `document 2 of 3`; with several files also the file's name. */
  readonly place: string;
}

/** A text and its origin: a file, a URL, or `-`. */
export interface Source {
  readonly name: string;
  readonly text: string;
}

interface ReadOptions {
  /** Accept secrets, which the HTTP API does not serve. */
  readonly secrets?: boolean;
}

/**
 * Parses the resources in YAML or JSON texts, each with one or more documents, in order. Returns nothing unless all of
 * them are valid.
 */
export async function readSources(
  registry: Registry,
  sources: readonly Source[],
  options: ReadOptions = {},
): Promise<readonly Applicable[]> {
  const all: Applicable[] = [];
  for (const source of sources) {
    const of = sources.length > 1 ? visible(source.name) : undefined;
    all.push(...(await readDocuments(registry, source.text, of, options)));
  }
  return all;
}

/** Error messages name `file` unless it is undefined. */
async function readDocuments(
  registry: Registry,
  text: string,
  file: string | undefined,
  options: ReadOptions,
): Promise<readonly Applicable[]> {
  const within = file === undefined ? "" : `${file}: `;
  const documents = await parseYaml(text, within);
  return documents.map((document, index) => {
    try {
      const place = `document ${index + 1} of ${documents.length}${file === undefined ? "" : ` of ${file}`}`;
      return { ...readOne(registry, document, options), place };
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      const at = documents.length > 1 ? `document ${index + 1}: ` : "";
      // The message already contains a single cause in full.
      const causes = error.causes.length > 1 ? error.causes : [];
      throw UserError.of("document.invalid", { place: `${within}${at}`, reason: error }, { causes });
    }
  });
}

async function parseYaml(text: string, within: string): Promise<unknown[]> {
  const { loadAll } = await import("js-yaml");
  let documents: unknown[];
  try {
    documents = loadAll(text);
  } catch (error) {
    throw UserError.of("document.invalid", { place: within, reason: error });
  }
  // Empty documents before, after and between separators are ignored.
  const filled = documents.filter((document) => document !== null && document !== undefined);
  if (filled.length > 0) return filled;
  throw UserError.of("document.missing", { place: within });
}

function readOne(
  registry: Registry,
  document: unknown,
  { secrets = false }: ReadOptions,
): Pick<Applicable, "type" | "resource"> {
  const { type: word, mesh, name } = readEnvelope(document);
  const type = registry.byName(word ?? "");
  const isSecret = type?.name === secretType.name;
  if (isSecret && !secrets) {
    const expected = "it is only taken with --secrets, see `kumactl export -h`";
    throw UserError.of("document.type", { type: type.name, expected });
  }
  if (type?.access !== "full" && !isSecret) throw unknownType(registry, word);
  if (name === undefined) throw UserError.of("field.empty", { field: "Name" });
  // A secret without a mesh is global.
  const home = type.scope === "global" ? name : isSecret ? (mesh ?? "") : mesh;
  if (home === undefined) throw UserError.of("field.empty", { field: "Mesh" });
  const { spec, unknown } = fromJson(type, document, "strict");
  const [first] = unknown;
  if (first) throw UserError.of("field.unknown", { problem: unknownFields(unknown, first) }, { causes: unknown });
  return { type, resource: { type: type.name, mesh: home, name, spec } };
}

function unknownFields(all: readonly Cause[], first: Cause): string {
  return all.length === 1 ? `${first.field}: ${first.message}` : `${all.length} unknown fields`;
}

function unknownType(registry: Registry, word: string | undefined): UserError {
  if (word === undefined) return UserError.of("field.empty", { field: "Type" });
  const names = registry.types.filter(({ access }) => access === "full").map(({ name }) => name);
  const meant = nearest(word, names);
  const expected = meant === undefined ? `known types are ${names.join(", ")}` : `did you mean "${meant}"?`;
  return UserError.of("document.type", { type: visible(word), expected });
}
