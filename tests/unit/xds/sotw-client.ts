import { fromBinary } from "@bufbuild/protobuf";
import { envoy } from "../../../proto-gen/envelope/envoy/service/discovery/v3/discovery.js";
import { google } from "../../../proto-gen/envelope/google/rpc/status.js";
import { ClusterSchema } from "../../../proto-gen/es/envoy/config/cluster/v3/cluster_pb.js";
import { ClusterLoadAssignmentSchema } from "../../../proto-gen/es/envoy/config/endpoint/v3/endpoint_pb.js";
import { ListenerSchema } from "../../../proto-gen/es/envoy/config/listener/v3/listener_pb.js";
import { type ProxyConfig, typeUrls } from "../../../src/envoy/resource.js";
import { createSession, type Session } from "../../../src/xds/configuration/session.js";
import { createSotw } from "../../../src/xds/configuration/sotw.js";
import { unframed } from "../../support/discovery-request.js";

const { DiscoveryRequest, DiscoveryResponse } = envoy.service.discovery.v3;

export type SotwKind = "cds" | "eds" | "lds";
const kinds: readonly SotwKind[] = ["cds", "eds", "lds"];

/** One decoded response: the bytes of each resource by name. */
export interface SotwAnswer {
  readonly kind: SotwKind;
  readonly nonce: string;
  readonly version: string;
  readonly resources: ReadonlyMap<string, Uint8Array>;
}

/**
 * A state-of-the-world client that behaves like Envoy, on encoded messages: it removes what a CDS or LDS response
 * omits, requests endpoints by the names of the clusters, and changes nothing when it rejects a response.
 */
export interface SotwClient {
  readonly has: Readonly<Record<SotwKind, ReadonlyMap<string, Uint8Array>>>;
  readonly answers: readonly SotwAnswer[];
  readonly session: Session;
  connect(config: ProxyConfig | undefined): void;
  configure(config: ProxyConfig): void;
  /** Handles one pending response; false when there is none. */
  handle(refuse?: (name: string) => boolean, words?: string): boolean;
  ask(kind: SotwKind, names: readonly string[], nonce?: string, refusal?: string): void;
}

function nameOf(kind: SotwKind, bytes: Uint8Array): string {
  if (kind === "cds") return fromBinary(ClusterSchema, bytes).name;
  return kind === "eds"
    ? fromBinary(ClusterLoadAssignmentSchema, bytes).clusterName
    : fromBinary(ListenerSchema, bytes).name;
}

const usesEds = (bytes: Uint8Array) => fromBinary(ClusterSchema, bytes).edsClusterConfig !== undefined;

export function createSotwClient(): SotwClient {
  const has = { cds: new Map(), eds: new Map(), lds: new Map() } as Record<SotwKind, Map<string, Uint8Array>>;
  const nonces = { cds: "", eds: "", lds: "" };
  let watched: string[] = [];
  let answers: SotwAnswer[] = [];
  let queue: SotwAnswer[] = [];
  let session: Session;
  let protocol = createSotw();

  function read(bytes: Buffer): SotwAnswer {
    const message = DiscoveryResponse.deserialize(bytes);
    const kind = kinds.find((known) => typeUrls[known] === message.type_url) ?? "cds";
    const resources = new Map(message.resources.map(({ value }) => [nameOf(kind, value), value]));
    return { kind, nonce: message.nonce, version: message.version_info, resources };
  }

  function ask(kind: SotwKind, names: readonly string[], nonce = nonces[kind], refusal?: string): void {
    const request = new DiscoveryRequest({
      type_url: typeUrls[kind],
      resource_names: [...names],
      response_nonce: nonce,
      ...(refusal === undefined ? {} : { error_detail: new google.rpc.Status({ code: 13, message: refusal }) }),
    });
    const message = protocol.read(Buffer.from(request.serialize()), true);
    if (message.request !== undefined) session.request(message.request);
  }

  const namesOf = (kind: SotwKind) => (kind === "eds" ? watched : []);

  function accept({ kind, resources }: SotwAnswer): void {
    if (kind !== "eds") {
      has[kind].clear();
      for (const [name, bytes] of resources) has[kind].set(name, bytes);
    } else for (const [name, bytes] of resources) if (watched.includes(name)) has.eds.set(name, bytes);
    if (kind !== "cds") return;
    const wanted = [...has.cds].filter(([, bytes]) => usesEds(bytes)).map(([name]) => name);
    const changed = wanted.length !== watched.length || wanted.some((name) => !watched.includes(name));
    watched = wanted;
    for (const name of [...has.eds.keys()]) if (!wanted.includes(name)) has.eds.delete(name);
    if (changed) ask("eds", watched);
  }

  return {
    has,
    get answers() {
      return answers;
    },
    get session() {
      return session;
    },
    connect(config) {
      answers = [];
      queue = [];
      protocol = createSotw();
      for (const kind of kinds) nonces[kind] = "";
      session = createSession({
        send(response) {
          const answer = read(unframed(protocol.write(response)));
          answers.push(answer);
          queue.push(answer);
        },
        acknowledged() {},
        refused() {},
      });
      if (config !== undefined) session.configure(config);
      ask("cds", []);
      if (watched.length > 0) ask("eds", watched);
      ask("lds", []);
    },
    configure: (config) => session.configure(config),
    handle(refuse = () => false, words = "cannot take") {
      const answer = queue.shift();
      if (answer === undefined) return false;
      nonces[answer.kind] = answer.nonce;
      const bad = [...answer.resources.keys()].filter((name) => !has[answer.kind].has(name) && refuse(name));
      if (bad.length > 0) {
        ask(answer.kind, namesOf(answer.kind), answer.nonce, `${words} ${bad.join(", ")}`);
        return true;
      }
      accept(answer);
      ask(answer.kind, namesOf(answer.kind), answer.nonce);
      return true;
    },
    ask,
  };
}
