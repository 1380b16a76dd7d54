import { serviceTag } from "../../resources/tags.js";
import { renderTable } from "../table.js";
import type { Policies, PolicyMatch } from "./answers.js";
import { appliesText, nameText, tagsText } from "./words.js";

type Row = readonly string[];

const rows = (type: string, matches: readonly PolicyMatch[] = []): Row[] =>
  matches.map((match) => [
    type,
    nameText(match),
    tagsText(match.source),
    tagsText(match.destination),
    appliesText(match) + (match.backend === undefined ? "" : `: to backend "${match.backend}"`),
  ]);

function section(title: string, about: readonly string[], table: readonly Row[]): string {
  const titles = ["POLICY", "NAME", "SOURCE", "DESTINATION", "APPLIES"];
  const body = table.length === 0 ? "no policies\n" : renderTable(titles, table);
  return `\n${title}\n${about.map((line) => `${line}\n`).join("")}${body}`;
}

function templates({ proxyTemplates = [] }: Policies): string {
  if (proxyTemplates.length === 0) return "";
  const table = proxyTemplates.map((match) => [nameText(match), tagsText(match.selector), appliesText(match)]);
  return `\nProxyTemplates\n${renderTable(["NAME", "SELECTOR", "APPLIES"], table)}`;
}

function allowedText(allowed: readonly string[] = []): string {
  if (allowed.length === 0) return "allowed to connect: nobody";
  return `allowed to connect: ${allowed.includes("*") ? "everybody" : allowed.join(", ")}`;
}

function inbounds({ inbounds: all = [] }: Policies): string {
  return all
    .map(({ address = "", port = 0, tags = [], allowed, trafficPermissions }) =>
      section(
        `Inbound ${address}:${port}, ${tags.map(tagsText).join(" and ")}`,
        [allowedText(allowed)],
        rows("TrafficPermission", trafficPermissions),
      ),
    )
    .join("");
}

function outbounds({ outbounds: all = [] }: Policies): string {
  return all
    .map(({ address = "", port = 0, service = "", trafficRoutes, shares = [], trafficLogs }) => {
      const ways = shares.map(({ weight = 0, destination = {} }) => `weight ${weight}: ${tagsText(destination)}`);
      const checked = new Map(shares.map((share) => [share.destination?.[serviceTag], share.healthChecks]));
      return section(
        `Outbound ${address}:${port} to ${service}`,
        ways.length === 0 ? ["connections are closed: no destination has any weight"] : ways,
        [
          ...rows("TrafficRoute", trafficRoutes),
          ...[...checked.values()].flatMap((checks) => rows("HealthCheck", checks)),
          ...rows("TrafficLog", trafficLogs),
        ],
      );
    })
    .join("");
}

/** Every policy that touches a dataplane, for people. */
export function policiesText(policies: Policies): string {
  const { mesh = "", dataplane = "", mtls = false } = policies;
  const off = mtls ? "" : "mTLS is off: everybody may connect, and TrafficPermissions have no effect\n";
  return `Dataplane ${dataplane} in mesh ${mesh}\n${off}${templates(policies)}${inbounds(policies)}${outbounds(policies)}`;
}
