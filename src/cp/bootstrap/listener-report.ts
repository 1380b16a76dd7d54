import type { Cause } from "../../lib/errors.js";
import { parseJsonObject } from "../../lib/json.js";
import { errorReply, type HttpReply, type HttpRequest, jsonReply } from "../../net/exchange.js";
import type { XdsServer } from "../../xds/server.js";

/** Results of reports, as counted by the metric `listener_reports`. */
export const reportResults = ["complete", "missing", "not_connected", "invalid", "cross_site"] as const;
export type ReportResult = (typeof reportResults)[number];

export interface ListenerReportOptions {
  readonly crossSite: (headers: HttpRequest["headers"]) => boolean;
  readonly compare: XdsServer["compareListeners"];
  readonly reported: (result: ReportResult) => void;
}

/** Maximum listeners in one report: the same as names in a discovery request. */
const mostListeners = 20_000;
/** Maximum missing listeners named in the response, which is for a log. */
const mostNamed = 20;

export const reportTitle = "Could not process the report of a dataplane";

interface ListenerReport {
  readonly mesh: string;
  readonly name: string;
  readonly listeners: ReadonlySet<string>;
}

function parse(body: Buffer): ListenerReport | readonly Cause[] {
  const value = parseJsonObject(body.toString());
  if (value === undefined) {
    return [{ field: "", message: 'expected an object such as {"mesh": "default", "name": "web-1", "listeners": []}' }];
  }
  const { mesh, name, listeners } = value;
  const filled = (text: unknown): text is string => typeof text === "string" && text !== "";
  const names = (list: unknown): list is readonly string[] =>
    Array.isArray(list) && list.length <= mostListeners && list.every((one) => typeof one === "string");
  const causes: Cause[] = [];
  if (!filled(mesh)) causes.push({ field: "mesh", message: "has to be the name of a mesh" });
  if (!filled(name)) causes.push({ field: "name", message: "has to be the name of a Dataplane" });
  if (!names(listeners)) {
    causes.push({ field: "listeners", message: `has to be a list of ${mostListeners} names of listeners at most` });
  }
  return filled(mesh) && filled(name) && names(listeners) ? { mesh, name, listeners: new Set(listeners) } : causes;
}

/**
 * `POST /dataplane-status` `{"mesh", "name", "listeners"}`: the names of the listeners of a dataplane's Envoy. kuma-dp
 * sends it when its Envoy could not create one. The response is `{"connected", "missing"?, "pending"?}`: whether this
 * control plane serves the proxy, which listeners are missing (the first of them), and whether to retry soon because a
 * response is outstanding. The names are compared with what was sent, and not stored.
 */
export function listenerReport(
  { crossSite, compare, reported }: ListenerReportOptions,
  { headers, body }: Pick<HttpRequest, "headers" | "body">,
): HttpReply {
  if (crossSite(headers)) {
    reported("cross_site");
    return errorReply("http.cross-site", { title: reportTitle });
  }
  const report = parse(body);
  if (!("listeners" in report)) {
    reported("invalid");
    return errorReply("request.invalid", { title: reportTitle }, { causes: report });
  }
  const { mesh, name, listeners } = report;
  const compared = compare({ mesh, name }, listeners);
  if (compared === undefined) {
    reported("not_connected");
    return jsonReply(200, { connected: false });
  }
  const { missing, pending } = compared;
  reported(missing.length === 0 ? "complete" : "missing");
  return jsonReply(200, { connected: true, missing: missing.slice(0, mostNamed), pending });
}
