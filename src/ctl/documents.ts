import { type Cause, messageOf, UserError } from "../lib/errors.js";
import { nearest } from "../lib/suggest.js";
import { visible } from "../lib/visible.js";
import { fromJson, readEnvelope } from "../resources/envelope.js";
import type { Registry } from "../resources/registry.js";
import type { Resource, ResourceType } from "../resources/resource.js";
import { secretType } from "../resources/secret.js";

/** A document that may be sent: complete, of a known type, without unknown fields. */
export interface Applicable {
  readonly type: ResourceType;
  readonly resource: Resource;
  /** Where it stands among all that is applied: `document 2 of 3`, of several files with the file's name. */
  readonly place: string;
}

/** A text with what it is called: a file, a URL, or `-`. */
export interface Source {
  readonly name: string;
  readonly text: string;
}

const prefix = "YAML contains invalid resource: ";

interface ReadOptions {
  /** Whether secrets are taken, which no API reaches. */
  readonly secrets?: boolean;
}

/**
 * The resources of YAML or JSON texts, one or several documents each, in order. Nothing comes back unless all of them can
 * be sent.
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

/** `file` is named in what is said, unless it is undefined. */
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
      const place = documents.length > 1 ? `document ${index + 1}: ` : "";
      // One cause says in full what the message would repeat.
      const causes = error.causes.length > 1 ? error.causes : [];
      throw new UserError("document.invalid", `${prefix}${within}${place}${error.message}`, { causes });
    }
  });
}

async function parseYaml(text: string, within: string): Promise<unknown[]> {
  const { loadAll } = await import("js-yaml");
  let documents: unknown[];
  try {
    documents = loadAll(text);
  } catch (error) {
    throw new UserError("document.unparsable", `${prefix}${within}${messageOf(error)}`);
  }
  // What stands before a first, behind a last or between two separators may be nothing at all.
  const filled = documents.filter((document) => document !== null && document !== undefined);
  if (filled.length > 0) return filled;
  throw new UserError("document.missing", `${prefix}${within}the input is empty`);
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
    const message = `invalid type of resource type "${type.name}"; it is only taken with --secrets, see \`kumactl export -h\``;
    throw new UserError("secrets.unavailable", message);
  }
  if (type?.access !== "full" && !isSecret) throw unknownType(registry, word);
  if (name === undefined) throw new UserError("name.missing", "Name field cannot be empty");
  // A secret without a mesh belongs to none.
  const home = type.scope === "global" ? name : isSecret ? (mesh ?? "") : mesh;
  if (home === undefined) throw new UserError("mesh.missing", "Mesh field cannot be empty");
  const { spec, unknown } = fromJson(type, document, "strict");
  const [first] = unknown;
  if (first) throw new UserError("field.unknown", unknownFields(unknown, first), { causes: unknown });
  return { type, resource: { type: type.name, mesh: home, name, spec } };
}

function unknownFields(all: readonly Cause[], first: Cause): string {
  return all.length === 1 ? `${first.field}: ${first.message}` : `${all.length} unknown fields`;
}

function unknownType(registry: Registry, word: string | undefined): UserError {
  if (word === undefined) return new UserError("type.missing", "Type field cannot be empty");
  const names = registry.types.filter(({ access }) => access === "full").map(({ name }) => name);
  const meant = nearest(word, names);
  const way = meant === undefined ? `known types are ${names.join(", ")}` : `did you mean "${meant}"?`;
  return new UserError("type.unknown", `invalid type of resource type "${visible(word)}"; ${way}`);
}
