import { list, toggle } from "../../lib/cli.js";
import type { Command } from "../../lib/command.js";
import { visible } from "../../lib/visible.js";
import { toJson } from "../../resources/envelope.js";
import type { Registry } from "../../resources/registry.js";
import type { Resource } from "../../resources/resource.js";
import { secretType } from "../../resources/secret.js";
import type { ApiClient } from "../api-client.js";
import { inOrder, repeatedResources } from "../apply-order.js";
import { paint } from "../color.js";
import { connect } from "../connection.js";
import { describeDifference, differences } from "../diff.js";
import { type Applicable, readSources } from "../documents.js";
import { command } from "../globals.js";
import { connectToSecrets, type SecretsClient } from "../secrets-client.js";
import { readSource, sourcesOf } from "../source.js";
import { parseVariables, renderTemplate } from "../template.js";
import { secretsFlag } from "./export.js";

const details = `Reads resources as YAML or JSON, one document or several with --- between them, and creates or
replaces each in order. With several -f all of them are applied, one file after the other. Nothing is sent unless all
documents of all files can be read; the first one that is refused ends it, and it is said what was applied until then.
Each text is a Mustache template first: {{name}} becomes the value of the variable "name", and nothing is escaped.

A resource is replaced as a whole: what the new one leaves out is gone. What that switches off is a warning.`;

export function applyCommand(registry: Registry): Command {
  return command({
    path: "apply",
    summary: "Create or modify Kuma resources",
    details,
    examples: [
      "kumactl apply -f dataplane.yaml",
      "kumactl apply -f mesh.yaml -f dataplanes.yaml",
      "kumactl apply -f mesh.yaml -v name=demo",
      "cat mesh.yaml | kumactl apply",
    ],
    flags: {
      files: list("file", {
        short: "f",
        placeholder: "FILE",
        // File names may contain commas.
        commas: false,
        help: "file or URL to apply, - for standard input (the default); may be repeated",
      }),
      variables: list("var", { short: "v", placeholder: "key=value", help: "variable of the template" }),
      dryRun: toggle("dry-run", {
        help: "have the control plane validate everything and show what would change, without changing it",
      }),
      secrets: secretsFlag,
    },
    async run({ flags, globals, io, logLevel }) {
      const variables = parseVariables(flags.variables);
      const sources: { readonly name: string; readonly text: string }[] = [];
      for (const name of sourcesOf(flags.files)) {
        sources.push({ name, text: await renderTemplate(await readSource(name, io), variables) });
      }
      const documents = await readSources(registry, sources, { secrets: flags.secrets !== undefined });
      for (const warning of repeatedResources(documents)) io.stderr.write(`Warning: ${warning}\n`);
      const connection = await connect({ globals, io, logLevel });
      const { client } = connection;
      const withSecrets = documents.some(({ type }) => type === secretType) ? flags.secrets : undefined;
      const secrets = withSecrets === undefined ? undefined : await connectToSecrets(withSecrets, connection);
      await inOrder(documents, flags.dryRun, async (document) => {
        const { report, warnings } = await (document.type === secretType && secrets !== undefined
          ? applySecret(secrets, document.resource, flags.dryRun)
          : flags.dryRun
            ? tryOut(client, document, io.color)
            : client.put(document.type, document.resource).then((warnings) => ({ report: "", warnings })));
        io.stdout.write(report);
        for (const warning of warnings) {
          io.stderr.write(`Warning: ${document.type.name} "${visible(document.resource.name)}": ${warning}\n`);
        }
      });
    },
  });
}

interface Outcome {
  readonly report: string;
  readonly warnings: readonly string[];
}

/** A dry run never shows what changes in a secret. */
async function applySecret(secrets: SecretsClient, secret: Resource, dryRun: boolean): Promise<Outcome> {
  if (dryRun) return { report: `would write Secret "${visible(secret.name)}"\n`, warnings: [] };
  await secrets.put(secret);
  const inUse = "control planes that run use the one they started with until they are started again";
  return { report: "", warnings: secret.mesh === "" ? [inUse] : [] };
}

const colors = { added: "green", removed: "red", changed: "yellow" } as const;

/**
 * Describes what applying the document would change. When the control plane rejects it, the error is the one that
 * applying would throw.
 */
async function tryOut(client: ApiClient, { type, resource }: Applicable, color: boolean): Promise<Outcome> {
  const { mesh, name } = resource;
  const before = await client.find(type, mesh, name);
  const warnings = await client.tryPut(type, resource);
  const what = `${type.name} "${visible(name)}"`;
  if (before === undefined) return { report: `would create ${what}\n`, warnings };
  const after = toJson({ ...resource, spec: type.defaults(resource.spec) });
  const changes = differences(before, after).map((change) => {
    const line = `  ${describeDifference(change)}`;
    return `${color ? paint(colors[change.kind], line) : line}\n`;
  });
  const report = changes.length === 0 ? `unchanged ${what}\n` : `would update ${what}\n${changes.join("")}`;
  return { report, warnings };
}
