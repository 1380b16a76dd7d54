import { own } from "../../lib/own.js";
import type { PolicyLevel, PolicyType } from "../../resources/policy-type.js";
import { paint } from "../color.js";
import { renderTable } from "../table.js";
import { adviceBlocks } from "./advice-text.js";
import { explainedTypes, namesOf, type PolicyMatch, type Traffic } from "./answers.js";
import { certificateText, listenerText, nameText, statusText, tagsText } from "./words.js";

type Route = NonNullable<Traffic["routes"]>[number];
type Destination = NonNullable<Route["destinations"]>[number];
type Endpoint = NonNullable<Destination["endpoints"]>[number];

const verdicts: Readonly<Record<string, string>> = {
  allowed: "ALLOWED",
  partial: "PARTLY ALLOWED",
  denied: "DENIED",
};

function headline({ mesh = "", from = "", to = "", verdict = "", connects }: Traffic, color: boolean): string {
  const shade = verdict === "denied" || connects === "never" ? "red" : connects === "always" ? "green" : "yellow";
  const ways: Readonly<Record<string, string>> = {
    sometimes: ", and some connections fail",
    never: verdict === "allowed" ? ", but no connection gets through" : "",
  };
  const text = `${own(verdicts, verdict) ?? verdict}${own(ways, connects ?? "") ?? ""}`;
  return `${from} -> ${to} in mesh ${mesh}: ${color ? paint(shade, text) : text}\n`;
}

function withoutMtls({ mtls = false, withMtls }: Traffic): string {
  if (mtls) return "";
  const then = withMtls === "denied" ? "denied" : withMtls === "partial" ? "partly denied" : "allowed, too";
  return `mTLS is off, so that permissions have no effect; with mTLS on it would be ${then}\n`;
}

function permissionLine(match: PolicyMatch): string {
  const { as, reason, source, destination } = match;
  const verb =
    reason === "mtls-off" ? "would allow it" : reason === "other-tags" ? "is only for other instances" : "allows it";
  const other = as === undefined ? "" : `, because the same dataplane is service "${as}", too`;
  return `TrafficPermission ${nameText(match)} ${verb}: ${tagsText(source)} -> ${tagsText(destination)}${other}\n`;
}

const problemLines = ({ problems = [] }: Traffic) =>
  problems.map(({ message = "" }) => `problem: ${message}\n`).join("");

function sourcesText({ from = "", to = "", sources = [] }: Traffic, now: Date): string {
  if (sources.length === 0) return "";
  const rows = shortened(
    sources.flatMap(({ dataplane = "", online, certificate, outbounds = [] }) => {
      const common = [
        dataplane,
        statusText(online),
        certificate === undefined ? "-" : certificateText(certificate, now),
      ];
      if (outbounds.length === 0) return [[...common, "none", "-"]];
      return outbounds.map(({ address = "", port = 0, listener }) => [
        ...common,
        `${address}:${port}`,
        listener === undefined ? "-" : listenerText(listener),
      ]);
    }),
  );
  const titles = ["DATAPLANE", "STATUS", "CERTIFICATE", `OUTBOUND TO ${to}`, "ENVOY"];
  return `\nFrom ${from}\n${renderTable(titles, rows.shown)}${rows.rest}`;
}

/** More would fill the screen; the other formats have all rows. */
const mostShown = 20;

function shortened<T>(rows: readonly T[]): { readonly shown: readonly T[]; readonly rest: string } {
  const more = rows.length - mostShown;
  return { shown: rows.slice(0, mostShown), rest: more > 0 ? `and ${more} more: see -o json\n` : "" };
}

function endpointCells(endpoint: Endpoint, now: Date): string[] {
  const { dataplane = "", address = "", port = 0, tags, online, certificate, listener, allowed = false } = endpoint;
  return [
    dataplane,
    `${address}:${port}`,
    tagsText(tags),
    allowed ? "allowed" : "denied",
    statusText(online),
    certificate === undefined ? "-" : certificateText(certificate, now),
    listener === undefined ? "-" : listenerText(listener),
  ];
}

/** How the policies named in a part of the explanation affect its connections. */
function sentences(types: readonly PolicyType[], part: object, ...levels: readonly PolicyLevel[]): string[] {
  return explainedTypes(types, ...levels).flatMap((type) => {
    const names = namesOf(type, part);
    return names === undefined ? [] : [type.policy.sentence?.(names) ?? ""];
  });
}

function destinationText(part: Destination, now: Date, types: readonly PolicyType[]): string {
  const { weight = 0, destination, endpoints = [] } = part;
  const effects = sentences(types, part, "destination", "inbound").map((sentence) => `, ${sentence}`);
  const title = `weight ${weight}: ${tagsText(destination)}${effects.join("")}\n`;
  if (endpoints.length === 0) return `${title}nobody offers it\n`;
  const { shown, rest } = shortened(endpoints);
  const titles = ["DATAPLANE", "ADDRESS", "TAGS", "VERDICT", "STATUS", "CERTIFICATE", "ENVOY"];
  return (
    title +
    renderTable(
      titles,
      shown.map((endpoint) => endpointCells(endpoint, now)),
    ) +
    rest
  );
}

/** Most sources of a route in one line. */
const mostNamed = 3;

function routeText(route: Route, several: boolean, to: string, now: Date, types: readonly PolicyType[]): string {
  const { sources = [], services = [], route: policy, destinations = [] } = route;
  const more = sources.length - mostNamed;
  const names = `${sources.slice(0, mostNamed).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
  const whose = several ? ` from ${names} (${services.join(", ")})` : "";
  const by =
    policy === undefined
      ? "without a TrafficRoute"
      : `by TrafficRoute ${nameText(policy)}: ${tagsText(policy.source)} -> ${tagsText(policy.destination)}`;
  const body =
    destinations.length === 0
      ? "connections are closed: no destination has any weight\n"
      : destinations.map((destination) => destinationText(destination, now, types)).join("");
  const effects = sentences(types, route, "outbound").map((sentence) => `${sentence}\n`);
  return `\nTo ${to}${whose}, ${by}\n${effects.join("")}${body}`;
}

/** Readable text about whether and how traffic flows, with commands that change it. */
export async function trafficText(
  traffic: Traffic,
  now: Date,
  color: boolean,
  types: readonly PolicyType[],
): Promise<string> {
  const { to = "", permissions = [], routes = [] } = traffic;
  const blocks = await adviceBlocks(traffic);
  return [
    headline(traffic, color),
    withoutMtls(traffic),
    ...permissions.map(permissionLine),
    problemLines(traffic),
    sourcesText(traffic, now),
    ...routes.map((route) => routeText(route, routes.length > 1, to, now, types)),
    ...(blocks.length === 0 ? [] : ["\nWhat to type\n", ...blocks.map((block) => `\n${block}`)]),
  ].join("");
}
