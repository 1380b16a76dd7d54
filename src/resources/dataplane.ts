import type { Cause } from "../lib/errors.js";
import { inboundPath, listenerProblems, outboundPath } from "./dataplane-listeners.js";
import { displayTags } from "./display.js";
import { anyAddress, parseInboundInterface, parseOutboundInterface } from "./interface.js";
import { atKey } from "./path.js";
import { resourceType } from "./resource.js";
import { text, uint32 } from "./scalars.js";
import { type Infer, limits, list, map, object } from "./schema.js";
import { serviceProblem } from "./spiffe.js";
import { serviceTag, tagKeyProblem, tagValueProblem } from "./tags.js";

export { displayTags, identifyingService } from "./display.js";
export { parseInboundInterface, parseOutboundInterface } from "./interface.js";

const inbound = object({ interface: text(), tags: map(text(), limits.tags) });

const outbound = object({
  interface: text(),
  service: text(),
  /** Has no effect. */
  servicePort: uint32(),
});

export const dataplaneSchema = object({
  networking: object({
    inbound: list(inbound, limits.inbounds),
    outbound: list(outbound, limits.outbounds),
    transparentProxying: object({ redirectPort: uint32() }),
  }),
});

export type Inbound = Infer<typeof inbound>;
export type Outbound = Infer<typeof outbound>;
export type Dataplane = Infer<typeof dataplaneSchema>;

function validateTags({ tags = {} }: Inbound, path: string, causes: Cause[]): void {
  if (!Object.hasOwn(tags, serviceTag)) causes.push({ field: atKey(path, serviceTag), message: "tag has to exist" });
  let problems: [key: string, problem: string][] | undefined;
  for (const key of Object.keys(tags)) {
    const value = tags[key] ?? "";
    const badKey = tagKeyProblem(key);
    const badValue = tagValueProblem(value) ?? (key === serviceTag ? serviceProblem(value) : undefined);
    if (badKey === undefined && badValue === undefined) continue;
    problems ??= [];
    if (badKey !== undefined) problems.push([key, `tag key ${badKey}`]);
    if (badValue !== undefined) problems.push([key, `tag value ${badValue}`]);
  }
  problems?.sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [key, problem] of problems ?? []) {
    causes.push({ field: atKey(path, key), message: problem });
  }
}

function inboundProblem(written: string): string | undefined {
  const expected = "expected DATAPLANE_IP:DATAPLANE_PORT:WORKLOAD_PORT, such as 192.168.0.1:9000:6379";
  const parsed = parseInboundInterface(written);
  if (parsed === undefined) return `invalid format; ${expected}`;
  if (parsed.ip !== anyAddress) return undefined;
  return (
    `${anyAddress} is no address that other dataplanes could connect to; ` +
    "expected the IP address by which they reach this one, such as 192.168.0.1"
  );
}

function validate(spec: Dataplane): Cause[] {
  const causes: Cause[] = [];
  const { inbound: inbounds = [], outbound: outbounds = [], transparentProxying } = spec.networking ?? {};
  if (inbounds.length === 0) {
    causes.push({ field: "networking.inbound", message: "has to contain at least one inbound interface" });
  }
  inbounds.forEach((member, index) => {
    const problem = inboundProblem(member.interface ?? "");
    if (problem !== undefined) causes.push({ field: `${inboundPath(index)}.interface`, message: problem });
    validateTags(member, `${inboundPath(index)}.tags`, causes);
  });
  outbounds.forEach((member, index) => {
    if (parseOutboundInterface(member.interface ?? "") === undefined) {
      const message = "invalid format; expected IP_ADDRESS:PORT with optional IP, such as 127.0.0.1:9000 or :9000";
      causes.push({ field: `${outboundPath(index)}.interface`, message });
    }
    const { service = "" } = member;
    const problem = tagValueProblem(service) ?? serviceProblem(service);
    if (problem !== undefined) causes.push({ field: `${outboundPath(index)}.service`, message: problem });
  });
  // Envoy would reject the listener: protobuf has 32 bits for a port of 16.
  if ((transparentProxying?.redirectPort ?? 0) > 65_535) {
    causes.push({ field: "networking.transparentProxying.redirectPort", message: "has to be a port, from 1 to 65535" });
  }
  return causes.concat(listenerProblems(spec.networking ?? {}));
}

export const dataplaneType = resourceType<Dataplane>({
  name: "Dataplane",
  path: "dataplanes",
  summary: "An instance of a service: where it is reached, its tags, and the services that it connects to.",
  cli: { singular: "dataplane", plural: "dataplanes", aliases: [] },
  schema: dataplaneSchema,
  validate,
  columns: [
    { title: "MESH", cell: ({ mesh }) => mesh },
    { title: "NAME", cell: ({ name }) => name },
    { title: "TAGS", cell: ({ spec }) => displayTags(spec) },
  ],
});
