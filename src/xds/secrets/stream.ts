import type { EnvoyResource } from "../../envoy/resource.js";
import { identityName, meshCaName } from "../../envoy/tls.js";
import type { Logger } from "../../lib/logger.js";
import { realTimers, type Timers } from "../../lib/timers.js";
import { type CallError, callError, type GrpcCall, type GrpcListener } from "../../net/grpc-server.js";
import type { Incidents } from "../../net/incidents.js";
import type { MeshView, View } from "../../view/mesh-view.js";
import { servicesOf } from "../../view/proxy.js";
import { decodeSotwRequest, type SotwRequest } from "../decode.js";
import { LimitExceeded } from "../limits.js";
import { type ProxyId, parseNodeId } from "../node.js";
import type { SecretObserver } from "../observer.js";
import { encodeSotwResponse } from "../wire.js";
import type { Authenticate, AuthorityState, Identities, IssuedIdentity } from "./identities.js";
import { createLease, type IdentityLease, type ReadyAuthority } from "./identity-lease.js";
import { identitySecret, meshCaSecret } from "./secrets.js";
import { createSecretSession } from "./session.js";

/** What a stream is served from. */
export interface SecretSurroundings {
  readonly view: () => View;
  readonly identities: Identities;
  readonly authenticate: Authenticate;
  /** Issues a certificate when its turn comes. */
  readonly pace: (issue: () => Promise<void>) => void;
  readonly logger: Logger;
  readonly observer: SecretObserver;
  readonly incidents: Incidents;
  readonly timers?: Timers;
}

/** One secret stream of one proxy. */
export interface SecretStream extends GrpcListener {
  /** Undefined until its first request. */
  readonly proxy: ProxyId | undefined;
  /** The bundle of roots that the proxy acknowledged last on this stream; undefined when it asks for none. */
  readonly trusted: { readonly version: string | undefined } | undefined;
  /** The certificate that the proxy acknowledged last on this stream. */
  readonly identity: IssuedIdentity | undefined;
  /** Whether it carries a token of the proxy's, as far as that could be told when it was asked first. */
  proved(): boolean;
  /** The Dataplane, its mesh or the mesh's authority changed. */
  refresh(): void;
}

function servicesIn(mesh: MeshView | undefined, name: string): readonly string[] {
  const proxy = mesh?.proxies.get(name);
  return proxy === undefined ? [] : servicesOf(proxy);
}

const bundles = new WeakMap<ReadyAuthority, EnvoyResource>();

/** The same object for all proxies of a mesh, made once. */
function bundleOf(authority: ReadyAuthority): EnvoyResource {
  let secret = bundles.get(authority);
  if (secret === undefined) {
    secret = meshCaSecret(authority.bundle);
    bundles.set(authority, secret);
  }
  return secret;
}

/** The version by which an authority's roots are known when a proxy acknowledges them. */
export const bundleVersion = (authority: ReadyAuthority): string => bundleOf(authority).version;

/** Serves one StreamSecrets call. */
export function serveSecrets(call: GrpcCall, surroundings: SecretSurroundings): SecretStream {
  const { view, identities, authenticate, pace, logger, observer, incidents } = surroundings;
  const timers = surroundings.timers ?? realTimers;
  let proxy: ProxyId | undefined;
  let ended = false;
  let lease: IdentityLease | undefined;
  let provedUntil: Date | undefined;
  const issued = new Map<string, IssuedIdentity>();
  let used: IssuedIdentity | undefined;

  const session = createSecretSession({
    send({ resources, nonce }) {
      call.write(encodeSotwResponse("sds", resources, nonce));
    },
    acknowledged(resources) {
      for (const { name, version } of resources) {
        if (proxy === undefined) continue;
        const identity = issued.get(version);
        if (identity !== undefined) {
          used = identity;
          observer.certified(proxy, identity, new Date());
        } else if (name === meshCaName) observer.trusting(proxy, version);
      }
    },
    refused(resources, reason) {
      const secrets = resources.map(({ name }) => name);
      logger.error("proxy refused secrets", { ...proxy, secrets, reason });
    },
  });

  function refuse({ code, details }: CallError, reason = details): void {
    if (ended) return;
    logger.info("secret stream refused", { peer: call.peer(), ...proxy, reason });
    call.end(code, details);
  }

  function unauthenticated(reason: string): void {
    if (proxy !== undefined) observer.refused(proxy, reason, new Date());
    refuse(callError("sds.unauthenticated"), reason);
  }

  /** Lets the proxy in, or ends the stream and says false. */
  function letIn(id: ProxyId): boolean {
    const tokens = call.header("authorization");
    if (tokens.length > 1) {
      unauthenticated("there is more than one token");
      return false;
    }
    const result = authenticate(tokens[0], id);
    if (result.kind === "refused") {
      unauthenticated(result.reason);
      return false;
    }
    if (servicesIn(view().get(id.mesh), id.name).length === 0) {
      refuse(callError("sds.dataplane", { name: id.name, mesh: id.mesh }));
      return false;
    }
    provedUntil = result.until;
    return true;
  }

  function openLease(): IdentityLease {
    const opened = createLease({
      issued(made) {
        const secret = identitySecret(made);
        issued.clear();
        issued.set(secret.version, made);
        session.offer(secret);
      },
      failed: (error) => logger.error("no certificate could be issued; it is tried again", { ...proxy, error }),
      mayIssue() {
        if (provedUntil === undefined || provedUntil.getTime() > Date.now()) return true;
        // Envoy then opens another stream, with what its token file holds by that time.
        unauthenticated("the token has expired since the stream began");
        return false;
      },
      pace,
      timers,
      now: Date.now,
      random: Math.random,
    });
    return opened;
  }

  function follow(id: ProxyId, authority: AuthorityState | undefined): void {
    if (authority?.kind === "ready" && session.names.has(meshCaName)) session.offer(bundleOf(authority));
    if (lease === undefined) return;
    const services = servicesIn(view().get(id.mesh), id.name);
    lease.follow(authority?.kind === "ready" && services.length > 0 ? { services, authority } : undefined);
  }

  function refresh(): void {
    if (ended || proxy === undefined) return;
    const mesh = view().get(proxy.mesh);
    follow(proxy, mesh === undefined ? undefined : identities.authority(mesh));
  }

  function identify(nodeId: string): ProxyId | undefined {
    const id = parseNodeId(nodeId);
    if (id === undefined) {
      refuse(callError("xds.node-id", { message: "request", id: nodeId.slice(0, 200) }));
    } else if (view().get(id.mesh)?.resource === undefined) {
      refuse(callError("sds.mesh", { mesh: id.mesh.slice(0, 200) }));
      return undefined;
    }
    return id;
  }

  function read(bytes: Buffer): void {
    let message: SotwRequest;
    try {
      message = decodeSotwRequest(bytes, proxy === undefined);
    } catch (error) {
      if (error instanceof LimitExceeded) {
        incidents.refused(error.limit);
        refuse(error.ending);
        return;
      }
      refuse(callError("xds.message", { expected: "DiscoveryRequest" }));
      return;
    }
    if (message.kind !== "sds") {
      refuse(callError("sds.type"));
      return;
    }
    proxy ??= identify(message.node.id);
    if (proxy === undefined || ended) return;
    const foreign = message.names.find((name) => name !== meshCaName && name !== identityName);
    if (foreign !== undefined) {
      const known = `${meshCaName} and ${identityName}`;
      refuse(callError("sds.secret", { name: foreign.slice(0, 200), known }));
      return;
    }
    const wantsIdentity = message.names.includes(identityName);
    if (wantsIdentity && lease === undefined) {
      if (!letIn(proxy)) return;
      lease = openLease();
    } else if (!wantsIdentity && lease !== undefined) {
      lease.end();
      lease = undefined;
      issued.clear();
      used = undefined;
    }
    call.proved();
    session.request(message);
    refresh();
  }

  let proof: boolean | undefined;

  function proved(): boolean {
    if (proxy === undefined) return false;
    const tokens = call.header("authorization");
    proof ??= tokens.length < 2 && authenticate(tokens[0], proxy).kind !== "refused";
    return proof;
  }

  return {
    proved,
    get proxy() {
      return proxy;
    },
    get trusted() {
      return session.names.has(meshCaName) ? { version: session.taken(meshCaName) } : undefined;
    },
    get identity() {
      return used;
    },
    refresh,
    message: read,
    closed() {
      ended = true;
      lease?.end();
    },
  };
}
