import { dump } from "js-yaml";
import type { Logger } from "../../lib/logger.js";
import type { SiteGuard } from "../../net/cross-site.js";
import { serveEndpoints } from "../../net/endpoints.js";
import {
  errorReply,
  type HttpHandler,
  type HttpReply,
  type HttpRequest,
  jsonReply,
  type Refusal,
} from "../../net/exchange.js";
import { warningHeader } from "../../net/warning-header.js";
import { dataplaneType, identifyingService } from "../../resources/dataplane.js";
import { readStored } from "../../store/read.js";
import type { Store } from "../../store/store.js";
import { type BootstrapParameters, bootstrapDocument } from "./document.js";
import type { FindDuplicate } from "./duplicates.js";
import { hostAsked } from "./host-asked.js";
import { type ListenerReportOptions, listenerReport, reportTitle } from "./listener-report.js";
import { createOldLog, isOldKumaDp, type NoteOld, tooOldBootstrap } from "./old-kuma-dp.js";
import { parseBootstrapRequest } from "./request.js";
import { dataplaneStatus } from "./status.js";

export interface BootstrapOptions {
  readonly store: Store;
  readonly guard: SiteGuard;
  readonly logger: Logger;
  readonly admin: BootstrapParameters["admin"];
  readonly xds: BootstrapParameters["xds"];
  /** Whether `xds.host` is only a default: then a remote client gets the host that it used to reach us. */
  readonly hostUnset: boolean;
  /** Served here as well, because the product documentation gives kuma-dp this port as the control plane's address. */
  readonly catalogue: unknown;
  readonly findDuplicate: FindDuplicate;
  /** Handles kuma-dp's reports of the listeners of its Envoy. */
  readonly listeners: Omit<ListenerReportOptions, "crossSite">;
  /** Called for a kuma-dp that is too old. */
  readonly refused?: (reason: Refusal) => void;
}

const notGenerated = "Could not generate a bootstrap";
const noStatus = "Could not determine the status of a dataplane";

/** `POST /bootstrap`: the Envoy bootstrap, as YAML, of a registered Dataplane. */
export function bootstrapHandler(options: BootstrapOptions): HttpHandler {
  const warnOnce = createRemoteWarning(options);
  const noteOld = createOldLog(options.logger);
  return serveEndpoints({
    layers: [],
    endpoints: [
      {
        methods: ["POST"],
        path: "/bootstrap",
        title: notGenerated,
        access: "proxy",
        handle: ({ request }) => bootstrap(options, { warnOnce, noteOld }, request),
      },
      {
        methods: ["GET"],
        path: "/dataplane-status",
        title: noStatus,
        access: "proxy",
        handle: ({ request }) => status(options, request.query),
      },
      {
        methods: ["POST"],
        path: "/dataplane-status",
        title: reportTitle,
        access: "proxy",
        handle: ({ request }) => listenerReport({ ...options.listeners, crossSite: options.guard.refuses }, request),
      },
      {
        methods: ["GET"],
        path: "/catalogue",
        aliases: ["/catalog"],
        title: "Could not retrieve the catalogue",
        access: "read",
        handle: () => jsonReply(200, options.catalogue),
      },
    ],
  });
}

/** Warns once about dataplanes on other machines while no advertised host is configured. */
function createRemoteWarning({ logger, xds }: BootstrapOptions): (host: string) => void {
  let warned = false;
  return (host) => {
    if (warned) return;
    warned = true;
    logger.warn(
      `dataplanes connect from other machines, but KUMA_GENERAL_ADVERTISED_HOSTNAME is ${xds.host}: the bootstrap of ` +
        `each names the host that it was requested from, ${host} for the first one. Set the variable to a name or an ` +
        "address by which all of them reach this control plane",
    );
  };
}

async function status({ store, logger }: BootstrapOptions, query: string): Promise<HttpReply> {
  try {
    return await dataplaneStatus(store, query);
  } catch (error) {
    logger.error("could not determine the status of a dataplane", { error });
    return errorReply("http.internal", { title: noStatus });
  }
}

function yamlReply(document: unknown, headers: Readonly<Record<string, string>> = {}): HttpReply {
  const body = dump(document, { noRefs: true, lineWidth: -1 });
  return { status: 200, headers: { "Content-Type": "text/x-yaml", ...headers }, body };
}

async function bootstrap(
  options: BootstrapOptions,
  { warnOnce, noteOld }: { readonly warnOnce: (host: string) => void; readonly noteOld: NoteOld },
  request: HttpRequest,
): Promise<HttpReply> {
  if (options.guard.refuses(request.headers)) {
    return errorReply("http.cross-site", { title: notGenerated });
  }
  const parsed = parseBootstrapRequest(request.body);
  const title = notGenerated;
  if (parsed.kind === "malformed") return errorReply("request.not-json", { title, reason: parsed.reason });
  if (parsed.kind === "invalid") return errorReply("request.invalid", { title }, { causes: parsed.causes });
  const { mesh, name, adminPort, dataplaneTokenPath, logDirectories } = parsed.request;
  if (isOldKumaDp(request.headers)) {
    noteOld({ mesh, name, peer: request.peer });
    options.refused?.("old");
    return yamlReply(tooOldBootstrap);
  }
  try {
    const stored = await readStored(options.store, dataplaneType, { mesh, name });
    if (stored === undefined) {
      const causes = [{ field: "name", message: "create the Dataplane before its kuma-dp starts" }];
      return errorReply("request.dataplane", { name, mesh }, { causes });
    }
    const host = options.hostUnset ? hostAsked(request) : undefined;
    if (host !== undefined) warnOnce(host);
    const document = bootstrapDocument({
      mesh,
      name,
      service: identifyingService(stored.spec),
      ...(dataplaneTokenPath === undefined ? {} : { dataplaneTokenPath }),
      ...(logDirectories === undefined ? {} : { logDirectories }),
      admin: { ...options.admin, port: adminPort ?? options.admin.port },
      ...(host === undefined ? {} : { controlPlaneHost: host }),
      xds: host === undefined ? options.xds : { ...options.xds, host },
    });
    const duplicate = await options.findDuplicate({ mesh, name });
    return yamlReply(document, duplicate === undefined ? {} : { Warning: warningHeader([duplicate]) });
  } catch (error) {
    options.logger.error("could not generate a bootstrap", { mesh, name, error });
    return errorReply("http.internal", { title });
  }
}
