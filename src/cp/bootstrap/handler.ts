import { dump } from "js-yaml";
import type { Logger } from "../../lib/logger.js";
import type { SiteGuard } from "../../net/cross-site.js";
import { errorReply, type HttpHandler, type HttpReply, jsonReply, type Refusal, route } from "../../net/exchange.js";
import { warningHeader } from "../../net/warning-header.js";
import { type Dataplane, identifyingService } from "../../resources/dataplane.js";
import type { Store } from "../../store/store.js";
import { type BootstrapParameters, bootstrapDocument } from "./document.js";
import type { FindDuplicate } from "./duplicates.js";
import { createOldLog, isOldKumaDp, type NoteOld, tooOldDocument } from "./old-kuma-dp.js";
import { parseBootstrapRequest } from "./request.js";
import { dataplaneStatus } from "./status.js";

export interface BootstrapOptions {
  readonly store: Store;
  readonly guard: SiteGuard;
  readonly logger: Logger;
  readonly admin: BootstrapParameters["admin"];
  readonly xds: BootstrapParameters["xds"];
  /** Served here too, because the product documentation gives kuma-dp this port as the control plane's address. */
  readonly catalogue: unknown;
  readonly findDuplicate: FindDuplicate;
  /** Hears of a kuma-dp that is too old. */
  readonly refused?: (reason: Refusal) => void;
}

const notGenerated = "Could not generate a bootstrap";

/** `POST /bootstrap`: the Envoy bootstrap, as YAML, of a Dataplane that is registered. */
export function bootstrapHandler(options: BootstrapOptions): HttpHandler {
  const catalogue = () => jsonReply(200, options.catalogue);
  const noteOld = createOldLog(options.logger);
  return route({
    "/bootstrap": { POST: (request) => bootstrap(options, noteOld, request) },
    "/dataplane-status": { GET: ({ query }) => status(options, query) },
    "/catalogue": { GET: catalogue },
    "/catalog": { GET: catalogue },
  });
}

async function status({ store, logger }: BootstrapOptions, query: string): Promise<HttpReply> {
  try {
    return await dataplaneStatus(store, query);
  } catch (error) {
    logger.error("could not tell the status of a dataplane", { error });
    return errorReply(500, "Could not tell the status of a dataplane", "Internal Server Error");
  }
}

function yamlReply(document: unknown, headers: Readonly<Record<string, string>> = {}): HttpReply {
  const body = dump(document, { noRefs: true, lineWidth: -1 });
  return { status: 200, headers: { "Content-Type": "text/x-yaml", ...headers }, body };
}

async function bootstrap(
  options: BootstrapOptions,
  noteOld: NoteOld,
  request: Parameters<HttpHandler>[0],
): Promise<HttpReply> {
  if (options.guard.refuses(request.headers)) {
    return errorReply(403, notGenerated, "Cross-site request refused");
  }
  const parsed = parseBootstrapRequest(request.body);
  if (parsed.kind === "malformed") return errorReply(400, notGenerated, `The body is not valid JSON: ${parsed.reason}`);
  if (parsed.kind === "invalid")
    return errorReply(400, notGenerated, "Request is not valid", { causes: parsed.causes });
  const { mesh, name, adminPort, dataplaneTokenPath, logDirectories } = parsed.request;
  if (isOldKumaDp(request.headers)) {
    noteOld({ mesh, name, peer: request.peer });
    options.refused?.("old");
    return yamlReply(tooOldDocument);
  }
  try {
    const stored = await options.store.get({ type: "Dataplane", mesh, name });
    if (stored === undefined) {
      return errorReply(404, "Could not find a Dataplane", `There is no Dataplane "${name}" in mesh "${mesh}"`, {
        causes: [{ field: "name", message: "create the Dataplane before its kuma-dp starts" }],
      });
    }
    const document = bootstrapDocument({
      mesh,
      name,
      service: identifyingService(stored.spec as Dataplane),
      ...(dataplaneTokenPath === undefined ? {} : { dataplaneTokenPath }),
      ...(logDirectories === undefined ? {} : { logDirectories }),
      admin: { ...options.admin, port: adminPort ?? options.admin.port },
      xds: options.xds,
    });
    const duplicate = await options.findDuplicate({ mesh, name });
    return yamlReply(document, duplicate === undefined ? {} : { Warning: warningHeader([duplicate]) });
  } catch (error) {
    options.logger.error("could not generate a bootstrap", { mesh, name, error });
    return errorReply(500, notGenerated, "Internal Server Error");
  }
}
