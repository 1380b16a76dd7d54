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
import type { Authenticate, Authentication, AuthorityState, Identities, IssuedIdentity } from "./identities.js";
import { createLease, type IdentityLease, type ReadyAuthority } from "./identity-lease.js";
import { identitySecret, meshCaSecret } from "./secrets.js";
import { createSecretSession } from "./session.js";

export interface SecretStreamOptions {
  readonly view: () => View;
  readonly identities: Identities;
  readonly authenticate: Authenticate;
  /** Queues the issue of a certificate. */
  readonly pace: (issue: () => Promise<void>) => void;
  readonly logger: Logger;
  readonly observer: SecretObserver;
  readonly incidents: Incidents;
  readonly timers?: Timers;
  /** `proved` is true from now on, and was false before. */
  readonly proven?: () => void;
}

/** How many requests may wait until the client is authenticated. Envoy sends one, and then waits for its secret. */
const mostEarly = 8;

/** One secret stream of one proxy. */
export interface SecretStream extends GrpcListener {
  /** Undefined until its first request. */
  readonly proxy: ProxyId | undefined;
  /** The trust bundle that the proxy acknowledged last on this stream; undefined when it does not request it. */
  readonly trusted: { readonly version: string | undefined } | undefined;
  /** The certificate that the proxy acknowledged last on this stream. */
  readonly identity: IssuedIdentity | undefined;
  /** Whether it carries a valid token of the proxy. The result of the first call is cached; false until it is known. */
  proved(): boolean;
  /** The Dataplane, its mesh or the mesh's authority changed. */
  refresh(): void;
}

function servicesIn(mesh: MeshView | undefined, name: string): readonly string[] {
  const proxy = mesh?.proxies.get(name);
  return proxy === undefined ? [] : servicesOf(proxy);
}

const severalTokens: Authentication = { kind: "refused", reason: "there is more than one token" };

const bundles = new WeakMap<ReadyAuthority, EnvoyResource>();

/** Cached: all proxies of a mesh share one object. */
function bundleOf(authority: ReadyAuthority): EnvoyResource {
  let secret = bundles.get(authority);
  if (secret === undefined) {
    secret = meshCaSecret(authority.bundle);
    bundles.set(authority, secret);
  }
  return secret;
}

/** The resource version of an authority's trust bundle, as proxies acknowledge it. */
export const bundleVersion = (authority: ReadyAuthority): string => bundleOf(authority).version;

/** Serves one StreamSecrets call. */
export function serveSecrets(call: GrpcCall, options: SecretStreamOptions): SecretStream {
  const { view, identities, authenticate, pace, logger, observer, incidents, timers = realTimers, proven } = options;
  let proxy: ProxyId | undefined;
  let ended = false;
  let lease: IdentityLease | undefined;
  let provedUntil: Date | undefined;
  const issued = new Map<string, IssuedIdentity>();
  let identity: IssuedIdentity | undefined;

  const session = createSecretSession({
    send({ resources, nonce }) {
      call.write(encodeSotwResponse("sds", resources, nonce));
    },
    acknowledged(resources) {
      for (const { name, version } of resources) {
        if (proxy === undefined) continue;
        const acknowledged = issued.get(version);
        if (acknowledged !== undefined) {
          identity = acknowledged;
          observer.certified(proxy, acknowledged, new Date());
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

  /** Requests that came while the client is being authenticated. */
  let early: Buffer[] | undefined;

  /** Verifies the client's token. */
  function authentication(id: ProxyId): Authentication | Promise<Authentication> {
    const tokens = call.header("authorization");
    return tokens.length < 2 ? authenticate(tokens[0], id) : severalTokens;
  }

  /** Returns whether the proxy is authenticated and has a Dataplane; closes the stream if not. */
  function authorized(id: ProxyId, result: Authentication): boolean {
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
      issued(certificate) {
        const secret = identitySecret(certificate);
        issued.clear();
        issued.set(secret.version, certificate);
        session.set(secret);
      },
      failed: (error) => logger.error("no certificate could be issued; it will be retried", { ...proxy, error }),
      mayIssue() {
        if (provedUntil === undefined || provedUntil.getTime() > Date.now()) return true;
        // Envoy then opens another stream, with the token that its token file has by then.
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
    if (authority?.kind === "ready" && session.names.has(meshCaName)) session.set(bundleOf(authority));
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

  /** Serves a request for a certificate, and all that came meanwhile, once the client is authenticated. */
  async function serveLater(id: ProxyId, request: SotwRequest, pending: Promise<Authentication>): Promise<void> {
    early = [];
    try {
      const result = await pending;
      const waiting = early ?? [];
      early = undefined;
      if (ended || !authorized(id, result)) return;
      lease = openLease();
      serve(request);
      for (const bytes of waiting) if (!ended) read(bytes);
    } catch (error) {
      logger.error("a message could not be handled", { peer: call.peer(), error });
      refuse(callError("grpc.internal"));
    }
  }

  function serve(request: SotwRequest): void {
    call.proved();
    session.request(request);
    refresh();
  }

  function read(bytes: Buffer): void {
    if (early !== undefined) {
      if (early.length < mostEarly) early.push(bytes);
      else refuse(callError("sds.early", { most: mostEarly }));
      return;
    }
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
      const result = authentication(proxy);
      if (result instanceof Promise) {
        void serveLater(proxy, message, result);
        return;
      }
      if (!authorized(proxy, result)) return;
      lease = openLease();
    } else if (!wantsIdentity && lease !== undefined) {
      lease.end();
      lease = undefined;
      issued.clear();
      identity = undefined;
    }
    serve(message);
  }

  let proof: boolean | undefined;

  /** Until the token is verified, the stream counts as without proof. */
  async function proveLater(pending: Promise<Authentication>): Promise<void> {
    proof = false;
    if ((await pending).kind === "refused" || ended) return;
    proof = true;
    proven?.();
  }

  function proved(): boolean {
    if (proxy === undefined) return false;
    if (proof !== undefined) return proof;
    const result = authentication(proxy);
    if (result instanceof Promise) {
      proveLater(result).catch((error: unknown) => logger.error("a token could not be verified", { error }));
      return false;
    }
    proof = result.kind !== "refused";
    return proof;
  }

  return {
    proved,
    get proxy() {
      return proxy;
    },
    get trusted() {
      return session.names.has(meshCaName) ? { version: session.acknowledged(meshCaName) } : undefined;
    },
    get identity() {
      return identity;
    },
    refresh,
    message: read,
    closed() {
      ended = true;
      lease?.end();
    },
  };
}
