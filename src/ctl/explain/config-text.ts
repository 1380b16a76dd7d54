import { UserError } from "../../lib/errors.js";
import { own } from "../../lib/own.js";
import { visibleJson } from "../../lib/visible.js";
import { describeDifference, differences } from "../diff.js";
import type { ConfigDiff, ConfigDump } from "./answers.js";

type Sent = NonNullable<NonNullable<NonNullable<ConfigDump["streams"]>[number]["resources"]>>[number];
type Difference = NonNullable<NonNullable<NonNullable<ConfigDiff["streams"]>[number]["differences"]>>[number];

/** Each discovery service with the name of its resources in Envoy's configuration. */
const sections = [
  ["cds", "clusters"],
  ["eds", "endpoints"],
  ["lds", "listeners"],
  ["rds", "routes"],
  ["sds", "secrets"],
] as const;

/** @throws UserError when no stream is open */
function newest<S>(answer: { streams?: readonly S[]; elsewhere?: readonly string[]; dataplane?: string }): S {
  const stream = answer.streams?.at(-1);
  if (stream !== undefined) return stream;
  const { dataplane = "", elsewhere = [] } = answer;
  if (elsewhere.length === 0) throw UserError.of("dataplane.offline", { dataplane });
  throw UserError.of("dataplane.elsewhere", { dataplane, instances: elsewhere.join(", ") });
}

function several({ streams = [], elsewhere = [] }: { streams?: readonly unknown[]; elsewhere?: readonly string[] }) {
  const count = streams.length + elsewhere.length;
  if (count < 2) return [];
  const place = elsewhere.length === 0 ? "" : ` to this control plane and not to instance ${elsewhere.join(", ")}`;
  return [`${count} Envoys are connected under this name; this is the last one that connected${place}`];
}

const label = (type = "", name = "") => `${type.toUpperCase()} resource "${name}"`;

function remark({ type, name, state, reason = "", resource }: Sent): string[] {
  const what = label(type, name);
  if (state === "refused") return [`Envoy refuses ${what}: ${reason}`];
  if (resource === undefined) return [`${what} came from an earlier stream or another control plane`];
  return state === "sent" ? [`${what} is not acknowledged yet`] : [];
}

/**
 * The configuration last sent to a proxy, in the format of Envoy's own configuration, with notes for standard error.
 * @throws UserError when no proxy is connected
 */
export function configDumpText(dump: ConfigDump): { readonly json: string; readonly remarks: readonly string[] } {
  const { resources = [] } = newest(dump);
  const document = Object.fromEntries(
    sections
      .map(([type, title]) => [
        title,
        resources.filter((one) => one.type === type).flatMap((one) => one.resource ?? []),
      ])
      .filter(([, members]) => members !== undefined && members.length > 0),
  );
  return {
    json: `${visibleJson(JSON.stringify(document, null, 2))}\n`,
    remarks: [...several(dump), ...resources.flatMap(remark)],
  };
}

const states: Readonly<Record<string, string>> = {
  sent: "sent, not acknowledged yet",
  waiting: "not sent yet",
  unrequested: "Envoy has not requested it",
};

function differenceLines({ type, name, state = "", reason = "", wanted, acknowledged }: Difference): string[] {
  const how = state === "refused" ? `refused: ${reason}` : (own(states, state) ?? state);
  const head = `${label(type, name)}: ${how}`;
  if (wanted === undefined) return [head, "  - Envoy still has it, and should remove it"];
  if (acknowledged === undefined) return [head, "  + Envoy has none yet"];
  if (acknowledged.resource === undefined || wanted.resource === undefined) {
    return [head, "  ~ Envoy has another version, from an earlier stream or another control plane"];
  }
  const changes = differences(acknowledged.resource, wanted.resource).map((one) => `  ${describeDifference(one)}`);
  return [head, ...(changes.length === 0 ? ["  ~ the same resource is sent to Envoy again"] : changes)];
}

/**
 * Readable text about what a proxy has not acknowledged.
 * @throws UserError when no proxy is connected
 */
export function configDiffText(diff: ConfigDiff): string {
  const { dataplane = "", missingSecrets = [] } = diff;
  const { differences: all = [] } = newest(diff);
  const lines = [
    ...several(diff),
    ...all.flatMap(differenceLines),
    ...missingSecrets.map((name) => `${label("sds", name)}: Envoy does not have the current one`),
  ];
  if (lines.length === 0) return `Envoy of Dataplane "${dataplane}" has acknowledged all of its configuration\n`;
  return lines.map((line) => `${line}\n`).join("");
}
