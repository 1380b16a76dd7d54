import { loadAll } from "js-yaml";
import { type Cause, UserError } from "../../src/lib/errors.js";
import { fromJson } from "../../src/resources/envelope.js";
import { unknownOperator } from "../../src/resources/log-format.js";
import type { Mesh } from "../../src/resources/mesh.js";
import { contentOf, type ProxyTemplate } from "../../src/resources/proxy-template.js";
import { registry } from "../../src/resources/registry.js";
import type { Stored } from "../../src/store/store.js";
import { versionOf } from "../../src/store/version.js";
import { checkRaw } from "./check-raw.js";

/** The result of submitting a document to the API. */
interface Admission {
  readonly stored: Stored;
  /** Why it would be rejected; empty when it would be accepted. */
  readonly causes: readonly Cause[];
}

/** Reads a document as the API does when it has no Envoy for validation: strictly, with defaults, validated. */
function admit(document: Readonly<Record<string, unknown>>): Admission {
  const type = registry.byName(String(document.type));
  if (type === undefined) throw new Error(`there is no type ${String(document.type)}`);
  const { envelope, spec: written, unknown } = fromJson(type, document, "strict");
  const spec = type.defaults(written);
  const name = envelope.name ?? "";
  const raw = type.name === "ProxyTemplate" ? contentOf(spec as ProxyTemplate).resources : [];
  const backends = type.name === "Mesh" ? (spec as Mesh).logging?.backends : undefined;
  const causes = [
    ...unknown,
    ...type.validate(spec),
    ...(backends ?? []).flatMap(({ format = "" }) => {
      const message = unknownOperator(format);
      return message === undefined ? [] : [{ field: "format", message }];
    }),
    ...raw.flatMap(({ resource = "" }) => checkRaw(resource)).map(({ field, message }) => ({ field, message })),
  ];
  const mesh = type.scope === "global" ? name : (envelope.mesh ?? "");
  return { stored: { type: type.name, mesh, name, spec, version: versionOf(1) }, causes };
}

/** The documents that the API accepts. */
export function admittedOf(documents: readonly Readonly<Record<string, unknown>>[]): readonly Stored[] {
  return documents.flatMap((document) => {
    try {
      const { stored, causes } = admit(document);
      return causes.length === 0 ? [stored] : [];
    } catch (error) {
      if (error instanceof UserError) return [];
      throw error;
    }
  });
}

/** The resources of a file as they are applied; throws when one of them is rejected. */
export function readMeshFile(text: string): readonly Stored[] {
  return loadAll(text).map((document) => {
    const { stored, causes } = admit(document as Record<string, unknown>);
    const [first] = causes;
    if (first !== undefined) throw new Error(`${stored.type} ${stored.name}: ${first.field}: ${first.message}`);
    return stored;
  });
}
