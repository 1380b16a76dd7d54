import type { Cause } from "../lib/errors.js";
import { displayTags } from "./display.js";
import { type InboundInterface, parseInboundInterface, parseOutboundInterface } from "./interface.js";
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
  /** Without effect. */
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

/** What already listens on an IP and port. */
interface Listener {
  readonly path: string;
  /** Of inbounds only: what a further inbound must equal to share the listener, and the services that share it. */
  readonly shared: { readonly servicePort: number; readonly services: Set<string> } | undefined;
}

const inboundPath = (index: number) => `networking.inbound[${index}]`;
const outboundPath = (index: number) => `networking.outbound[${index}]`;

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

/** True when the inbound may use the listener too: the same interface for another service. */
function shares(listener: Listener, { servicePort }: InboundInterface, service: string): boolean {
  const { shared } = listener;
  if (shared === undefined || shared.servicePort !== servicePort || shared.services.has(service)) return false;
  shared.services.add(service);
  return true;
}

/** A second listener on the same IP and port would be refused by Envoy. */
function validateListeners(spec: Dataplane, causes: Cause[]): void {
  const listeners = new Map<string, Listener>();
  const claim = (address: string, listener: Listener, mayShare?: (other: Listener) => boolean) => {
    const earlier = listeners.get(address);
    if (earlier === undefined) listeners.set(address, listener);
    else if (mayShare?.(earlier) !== true) {
      causes.push({ field: listener.path, message: `${address} is already used by ${earlier.path}` });
    }
  };
  spec.networking?.inbound?.forEach(({ interface: written = "", tags }, index) => {
    const parsed = parseInboundInterface(written);
    if (parsed === undefined) return;
    const service = tags?.[serviceTag] ?? "";
    const shared = { servicePort: parsed.servicePort, services: new Set([service]) };
    const listener = { path: `${inboundPath(index)}.interface`, shared };
    claim(`${parsed.ip}:${parsed.port}`, listener, (other) => shares(other, parsed, service));
  });
  spec.networking?.outbound?.forEach(({ interface: written = "" }, index) => {
    const parsed = parseOutboundInterface(written);
    if (parsed === undefined) return;
    claim(`${parsed.ip}:${parsed.port}`, { path: `${outboundPath(index)}.interface`, shared: undefined });
  });
}

function validate(spec: Dataplane): Cause[] {
  const causes: Cause[] = [];
  const { inbound: inbounds = [], outbound: outbounds = [], transparentProxying } = spec.networking ?? {};
  if (inbounds.length === 0) {
    causes.push({ field: "networking.inbound", message: "has to contain at least one inbound interface" });
  }
  inbounds.forEach((member, index) => {
    if (parseInboundInterface(member.interface ?? "") === undefined) {
      const message =
        "invalid format; expected DATAPLANE_IP:DATAPLANE_PORT:WORKLOAD_PORT, such as 192.168.0.1:9000:6379";
      causes.push({ field: `${inboundPath(index)}.interface`, message });
    }
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
  // Envoy would refuse the listener: a port has 16 bits where protobuf has 32.
  if ((transparentProxying?.redirectPort ?? 0) > 65_535) {
    causes.push({ field: "networking.transparentProxying.redirectPort", message: "has to be a port, from 1 to 65535" });
  }
  validateListeners(spec, causes);
  return causes;
}

export const dataplaneType = resourceType<Dataplane>({
  name: "Dataplane",
  path: "dataplanes",
  cli: { singular: "dataplane", plural: "dataplanes", aliases: [] },
  schema: dataplaneSchema,
  validate,
  columns: [
    { title: "MESH", cell: ({ mesh }) => mesh },
    { title: "NAME", cell: ({ name }) => name },
    { title: "TAGS", cell: ({ spec }) => displayTags(spec) },
  ],
});
