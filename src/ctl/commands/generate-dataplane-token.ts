import { text } from "../../lib/cli.js";
import { parseDuration } from "../../lib/durations.js";
import { UserError } from "../../lib/errors.js";
import { parseJsonObject } from "../../lib/json.js";
import type { ApiClient } from "../api-client.js";
import { connect } from "../connection.js";
import { command } from "../globals.js";
import { requireMesh } from "../mesh-exists.js";
import { findTokenServer, readTokenApi, requestToken } from "../token-client.js";

const configTimeoutMs = 10_000;

export const generateDataplaneToken = command({
  path: "generate dataplane-token",
  summary: "Generate the token with which a dataplane proves its identity",
  details: "Prints the token without a line break. Without --valid-for it never expires.",
  examples: ["kumactl generate dataplane-token --name redis-1 --mesh demo > /tmp/redis-1-token"],
  flags: {
    name: text("name", { aliases: ["dataplane"], help: "name of the Dataplane", required: true }),
    validFor: text("valid-for", {
      placeholder: "duration",
      help: "how long the token is valid, such as 720h",
      parse: positive,
    }),
  },
  async run({ flags: { name, validFor }, globals, io, logLevel }) {
    const { client, context, address } = await connect({ globals, io, logLevel });
    if (await isOnKubernetes(client)) throw UserError.of("token-client.kubernetes");
    const catalogue = await client.catalogue().catch((error: unknown) => {
      throw UserError.of("token-client.unavailable", { reason: error });
    });
    await requireMesh(client, globals.mesh);
    const server = await findTokenServer(readTokenApi(catalogue), address, context);
    const request = { name, mesh: globals.mesh, ...(validFor === undefined ? {} : { validFor }) };
    io.stdout.write(await requestToken(server, request));
  },
});

/** Whether the control plane says so; one without that endpoint does not. */
async function isOnKubernetes(client: ApiClient): Promise<boolean> {
  const answer = await client.get("config", configTimeoutMs).catch(() => undefined);
  return answer?.status === 200 && parseJsonObject(answer.body)?.environment === "kubernetes";
}

/** Returns the duration as written, because the control plane parses it. */
function positive(raw: string): string {
  if (parseDuration(raw) > 0) return raw;
  throw UserError.of("duration.not-positive");
}
