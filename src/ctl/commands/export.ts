import { text } from "../../lib/cli.js";
import type { Command } from "../../lib/command.js";
import { UserError } from "../../lib/errors.js";
import { readEnvelope } from "../../resources/envelope.js";
import { meshType } from "../../resources/mesh.js";
import type { Registry } from "../../resources/registry.js";
import { type ApiClient, collectionPath } from "../api-client.js";
import { connect } from "../connection.js";
import { command } from "../globals.js";
import { connectToSecrets } from "../secrets-client.js";
import { verbatim } from "../template.js";
import { toYaml } from "../yaml.js";

const details = `Prints every resource of every mesh as YAML, for "kumactl apply" to read: into a file as a backup, or into
another Control Plane, whatever store it has. What dataplanes reported is not part of it.

With --secrets the certificate authorities, the key that signs tokens and the certificate of the SDS server come along:
proxies then find in the other Control Plane what they know. That one has to be started again once it has them, so
that its store can't be the one in memory. The first one gives them to who can read the file that its setting
KUMA_DATAPLANE_TOKEN_SERVER_LOCAL_SECRETS_TOKEN_FILE names, on its own machine. Keep what is printed like a key.`;

export const secretsFlag = text("secrets", {
  placeholder: "FILE",
  help: "include secrets, with the token that the Control Plane keeps in this file",
});

export function exportCommand(registry: Registry): Command {
  return command({
    path: "export",
    summary: "Print all Kuma resources, for a backup or a move",
    details,
    examples: ["kumactl export > backup.yaml", "kumactl export --secrets /var/lib/kuma/secrets-token > backup.yaml"],
    flags: { secrets: secretsFlag },
    async run({ flags, globals, io, logLevel }) {
      const connection = await connect({ globals, io, logLevel });
      // Authorities precede their meshes: a mesh without an authority gets a new one.
      const secrets =
        flags.secrets === undefined ? [] : await (await connectToSecrets(flags.secrets, connection)).list();
      const { documents: resources, unknown } = await readAll(registry, connection.client);
      for (const name of unknown) io.stderr.write(`Warning: this Control Plane is too old to have any ${name}\n`);
      const all = [...sorted(secrets).map(({ document }) => document), ...resources];
      const documents = await Promise.all(all.map((document) => toYaml(document)));
      io.stdout.write(verbatim(documents.join("---\n")));
    },
  });
}

/** Sorted by mesh and name, so that the output does not depend on the store. */
function sorted(documents: readonly unknown[]): { readonly document: unknown; readonly name: string }[] {
  const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
  return documents
    .map((document) => {
      const { mesh = "", name = "" } = readEnvelope(document);
      return { document, mesh, name };
    })
    .sort((a, b) => compare(a.mesh, b.mesh) || compare(a.name, b.name));
}

interface Everything {
  readonly documents: readonly unknown[];
  /** Types that an older control plane does not have. */
  readonly unknown: ReadonlySet<string>;
}

/** Reads the meshes first, then their resources. */
async function readAll(registry: Registry, client: ApiClient): Promise<Everything> {
  const meshes = sorted(await client.list(collectionPath(meshType, "")));
  const documents = meshes.map(({ document }) => document);
  const unknown = new Set<string>();
  for (const type of registry.types.filter(({ access, scope }) => access === "full" && scope === "mesh")) {
    for (const { name } of meshes) {
      const listed = await client.list(collectionPath(type, name)).catch((error: unknown) => {
        if (!(error instanceof UserError)) throw error;
        if (error.id === "api.older") {
          unknown.add(type.name);
          return [];
        }
        throw error.within("meshListing", { type: type.name, mesh: name });
      });
      documents.push(...sorted(listed).map(({ document }) => document));
    }
  }
  return { documents, unknown };
}
