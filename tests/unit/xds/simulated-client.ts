import type { EnvoyResource, ProxyConfig, XdsKind } from "../../../src/envoy/resource.js";
import { createSession, type Request, type Session } from "../../../src/xds/configuration/session.js";
import type { Response } from "../../../src/xds/response.js";

type Kinds = "cds" | "eds" | "lds";

/**
 * A delta client that behaves like Envoy: it subscribes to clusters first, to the endpoints of each
 * EDS cluster it receives, and to listeners; it accepts resources, and lists what it has on a new stream.
 */
export interface SimulatedClient {
  readonly resources: Readonly<Record<Kinds, Map<string, EnvoyResource>>>;
  readonly responses: Response[];
  /** Opens a stream; resources of earlier streams are sent as initial versions. */
  connect(config: ProxyConfig | undefined): void;
  configure(config: ProxyConfig): void;
  /** Handles one pending response; false when there is none. `refuse` names resources that it rejects. */
  handle(refuse?: (resource: EnvoyResource) => boolean, words?: string): boolean;
  resubscribe(name: string): void;
  readonly session: Session;
}

export function createSimulatedClient(): SimulatedClient {
  const resources = { cds: new Map(), eds: new Map(), lds: new Map() } as Record<Kinds, Map<string, EnvoyResource>>;
  const watched = new Set<string>();
  let responses: Response[] = [];
  let queue: Response[] = [];
  let session: Session;

  const request = (kind: XdsKind, about: Partial<Request>): void =>
    session.request({
      kind,
      nonce: "",
      refusal: undefined,
      subscribe: [],
      unsubscribe: [],
      initialVersions: new Map(),
      ...about,
    });

  const versions = (kind: Kinds) => new Map([...resources[kind]].map(([name, { version }]) => [name, version]));

  function accept({ kind, resources: sent, removed }: Response): void {
    if (kind !== "cds" && kind !== "eds" && kind !== "lds") return;
    for (const resource of sent) {
      if (kind !== "eds" || watched.has(resource.name)) resources[kind].set(resource.name, resource);
    }
    for (const name of removed) resources[kind].delete(name);
    if (kind !== "cds") return;
    const wanted = [...resources.cds.values()].map(({ edsName }) => edsName).filter((name) => name !== undefined);
    const subscribe = wanted.filter((name) => !watched.has(name));
    const unsubscribe = [...watched].filter((name) => !wanted.includes(name));
    for (const name of subscribe) watched.add(name);
    for (const name of unsubscribe) {
      watched.delete(name);
      resources.eds.delete(name);
    }
    if (subscribe.length > 0 || unsubscribe.length > 0) request("eds", { subscribe, unsubscribe });
  }

  return {
    resources,
    get responses() {
      return responses;
    },
    get session() {
      return session;
    },
    connect(config) {
      responses = [];
      queue = [];
      session = createSession({
        send(response) {
          responses.push(response);
          queue.push(response);
        },
        acknowledged() {},
        refused() {},
      });
      if (config !== undefined) session.configure(config);
      request("cds", { initialVersions: versions("cds") });
      if (watched.size > 0) request("eds", { subscribe: [...watched], initialVersions: versions("eds") });
      request("lds", { initialVersions: versions("lds") });
    },
    configure(config) {
      session.configure(config);
    },
    handle(refuse = () => false, words = "cannot take") {
      const response = queue.shift();
      if (response === undefined) return false;
      const bad = response.resources.filter(refuse);
      if (bad.length > 0) {
        const refusal = `${words} ${bad.map((resource) => resource.name).join(", ")}`;
        request(response.kind, { nonce: response.nonce, refusal });
        return true;
      }
      accept(response);
      request(response.kind, { nonce: response.nonce });
      return true;
    },
    resubscribe(name) {
      if (!watched.has(name)) return;
      resources.eds.delete(name);
      request("eds", { unsubscribe: [name] });
      request("eds", { subscribe: [name] });
    },
  };
}
