import type { PolicyLevel, PolicyTraits, PolicyType } from "../../resources/policy-type.js";
import { serviceTag } from "../../resources/tags.js";
import { renderTable } from "../table.js";
import { type Policies, type PolicyMatch, rowsOf } from "./answers.js";
import { appliesText, nameText, tagsText } from "./words.js";

type Row = readonly string[];

type Types = readonly PolicyType[];

/** The types of a level, and of these the ones that combine in this way. */
const of = (types: Types, level: PolicyLevel, combine?: PolicyTraits["combine"]): Types =>
  types.filter(({ policy }) => policy.level === level && (combine ?? policy.combine) === policy.combine);

const rows = (types: Types, part: object): Row[] =>
  types.flatMap((type) => rowsOf(type, part).map((match) => row(type, match)));

const row = ({ name }: PolicyType, match: PolicyMatch): Row => [
  name,
  nameText(match),
  tagsText(match.source),
  tagsText(match.destination),
  appliesText(match) + (match.backend === undefined ? "" : `: to backend "${match.backend}"`),
];

function section(title: string, about: readonly string[], table: readonly Row[]): string {
  const titles = ["POLICY", "NAME", "SOURCE", "DESTINATION", "APPLIES"];
  const body = table.length === 0 ? "no policies\n" : renderTable(titles, table);
  return `\n${title}\n${about.map((line) => `${line}\n`).join("")}${body}`;
}

function ofDataplane(policies: Policies, type: PolicyType): string {
  const table = rowsOf(type, policies).map((match) => [nameText(match), tagsText(match.selector), appliesText(match)]);
  return table.length === 0 ? "" : `\n${type.name}s\n${renderTable(["NAME", "SELECTOR", "APPLIES"], table)}`;
}

function allowedText(allowed: readonly string[] = []): string {
  if (allowed.length === 0) return "allowed to connect: nobody";
  return `allowed to connect: ${allowed.includes("*") ? "everybody" : allowed.join(", ")}`;
}

function inbounds({ inbounds: all = [] }: Policies, types: Types): string {
  return all
    .map((inbound) => {
      const { address = "", port = 0, tags = [], allowed } = inbound;
      const title = `Inbound ${address}:${port}, ${tags.map(tagsText).join(" and ")}`;
      return section(title, [allowedText(allowed)], rows(of(types, "inbound"), inbound));
    })
    .join("");
}

function outbounds({ outbounds: all = [] }: Policies, types: Types): string {
  return all
    .map((outbound) => {
      const { address = "", port = 0, service = "", shares = [] } = outbound;
      const ways = shares.map(({ weight = 0, destination = {} }) => `weight ${weight}: ${tagsText(destination)}`);
      const byService = new Map(shares.map((share) => [share.destination?.[serviceTag], share]));
      return section(
        `Outbound ${address}:${port} to ${service}`,
        ways.length === 0 ? ["connections are closed: no destination has any weight"] : ways,
        [
          ...rows(of(types, "outbound", "one"), outbound),
          ...[...byService.values()].flatMap((share) => rows(of(types, "destination"), share)),
          ...rows(of(types, "outbound", "all"), outbound),
        ],
      );
    })
    .join("");
}

/** Readable text about every policy that affects a dataplane. */
export function policiesText(policies: Policies, types: readonly PolicyType[]): string {
  const { mesh = "", dataplane = "", mtls = false } = policies;
  const off = mtls ? "" : "mTLS is off: everybody may connect, and TrafficPermissions have no effect\n";
  const whole = of(types, "dataplane")
    .map((type) => ofDataplane(policies, type))
    .join("");
  return `Dataplane ${dataplane} in mesh ${mesh}\n${off}${whole}${inbounds(policies, types)}${outbounds(policies, types)}`;
}
