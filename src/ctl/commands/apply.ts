import { list, text, toggle } from "../../lib/cli.js";
import type { Command } from "../../lib/command.js";
import { UserError } from "../../lib/errors.js";
import { visible } from "../../lib/visible.js";
import { toJson } from "../../resources/envelope.js";
import type { Registry } from "../../resources/registry.js";
import type { Resource } from "../../resources/resource.js";
import { secretType } from "../../resources/secret.js";
import type { ApiClient } from "../api-client.js";
import { paint } from "../color.js";
import { connect } from "../connection.js";
import { describeDifference, differences } from "../diff.js";
import { type Applicable, readDocuments } from "../documents.js";
import { command } from "../globals.js";
import { connectToSecrets, type SecretsClient } from "../secrets-client.js";
import { readSource } from "../source.js";
import { parseVariables, renderTemplate } from "../template.js";
import { secretsFlag } from "./export.js";

const details = `Reads resources as YAML or JSON, one document or several with --- between them, and creates or
replaces each in order. Nothing is sent unless all of them can be read. The text is a Mustache template first:
{{name}} becomes the value of the variable "name", and nothing is escaped.`;

export function applyCommand(registry: Registry): Command {
  return command({
    path: "apply",
    summary: "Create or modify Kuma resources",
    details,
    examples: [
      "kumactl apply -f dataplane.yaml",
      "kumactl apply -f mesh.yaml -v name=demo",
      "cat mesh.yaml | kumactl apply",
    ],
    flags: {
      file: text("file", {
        short: "f",
        placeholder: "FILE",
        help: "file or URL to apply, - for standard input (the default)",
      }),
      variables: list("var", { short: "v", placeholder: "key=value", help: "variable of the template" }),
      dryRun: toggle("dry-run", {
        help: "have the control plane check everything and say what would change, without changing it",
      }),
      secrets: secretsFlag,
    },
    async run({ flags, globals, io, logLevel }) {
      const variables = parseVariables(flags.variables);
      const template = await readSource(flags.file, io);
      const documents = await readDocuments(registry, await renderTemplate(template, variables), {
        secrets: flags.secrets !== undefined,
      });
      const connection = await connect({ globals, io, logLevel });
      const { client } = connection;
      const withSecrets = documents.some(({ type }) => type === secretType) ? flags.secrets : undefined;
      const secrets = withSecrets === undefined ? undefined : await connectToSecrets(withSecrets, connection);
      for (const [index, document] of documents.entries()) {
        const step =
          document.type === secretType && secrets !== undefined
            ? applySecret(secrets, document.resource, flags.dryRun)
            : flags.dryRun
              ? tryOut(client, document, io.color)
              : client.put(document.type, document.resource).then((warnings) => ({ report: "", warnings }));
        const { report, warnings } = await step.catch((error: unknown) => {
          throw documents.length > 1 ? located(error, document, index, documents.length) : error;
        });
        io.stdout.write(report);
        for (const warning of warnings) {
          io.stderr.write(`Warning: ${document.type.name} "${visible(document.resource.name)}": ${warning}\n`);
        }
      }
    },
  });
}

interface Outcome {
  readonly report: string;
  readonly warnings: readonly string[];
}

/** Of a secret it is never said what changes. */
async function applySecret(secrets: SecretsClient, secret: Resource, dryRun: boolean): Promise<Outcome> {
  if (dryRun) return { report: `would write Secret "${visible(secret.name)}"\n`, warnings: [] };
  await secrets.put(secret);
  const inUse = "control planes that run use the one they started with until they are started again";
  return { report: "", warnings: secret.mesh === "" ? [inUse] : [] };
}

const colors = { added: "green", removed: "red", changed: "yellow" } as const;

/** What applying the document would do, as text; the control plane's refusal is thrown as it is when applying. */
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

/** Of several documents: which one it was, and that those before it stay applied. */
function located(error: unknown, { resource }: Applicable, index: number, count: number): unknown {
  if (!(error instanceof UserError)) return error;
  const place = `in document ${index + 1} of ${count}, ${resource.type} "${visible(resource.name)}"`;
  return new UserError(error.id, `${error.message}\n${place}`, { causes: error.causes, cause: error });
}
