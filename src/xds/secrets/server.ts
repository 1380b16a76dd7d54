import type { ViewFeed } from "../../feed/feed.js";
import type { Logger } from "../../lib/logger.js";
import { createSemaphore } from "../../lib/semaphore.js";
import { type GrpcListener, type GrpcServer, startGrpcServer } from "../../net/grpc-server.js";
import { type Incidents, uncounted } from "../../net/incidents.js";
import { inTurn } from "../../net/turns.js";
import type { Touched } from "../../view/apply.js";
import type { ProxyId } from "../node.js";
import type { SecretObserver } from "../observer.js";
import { createSlices } from "../slices.js";
import { createSecretAgreement, trusting } from "./agreement.js";
import type { Authenticate, Identities, IssuedIdentity } from "./identities.js";
import { type SecretStream, serveSecrets } from "./stream.js";

/**
 * A proxy has two secret streams besides its discovery stream, which determines whether it is online. Pings are most of
 * the cost of idle proxies, and are not needed here to detect a dead machine.
 */
const pingEveryMs = 300_000;

/** A request for secrets has two names, and at most the proxy's error message. */
const longestMessage = 256 * 1024;

/** The secrets that a proxy acknowledged on its open streams. */
export interface ProxySecrets {
  /** Versions (`bundleVersion`) of the trust bundles that it acknowledged, one per stream; undefined: none yet. */
  readonly trusted: readonly (string | undefined)[];
  /** The certificate it uses. */
  readonly identity: IssuedIdentity | undefined;
}

export interface SecretServer extends GrpcServer {
  /** The proxies of a mesh that have a secret stream with this control plane, by name. */
  proxies(mesh: string): ReadonlyMap<string, ProxySecrets>;
}

export interface SecretServerOptions {
  /** 0: any free port. */
  readonly port: number;
  /** Default: all interfaces, IPv4 and IPv6. */
  readonly host?: string;
  /** The server's certificate and key, in PEM. */
  readonly tls: { readonly cert: string; readonly key: string };
  readonly feed: ViewFeed;
  readonly identities: Identities;
  readonly authenticate: Authenticate;
  readonly observer: SecretObserver;
  readonly logger: Logger;
  readonly incidents?: Incidents;
  /** How many connections of one address may be open that have not sent a valid request. */
  readonly connectionsPerAddress?: number;
}

/** State of the world only: Envoy's Google gRPC client uses no other variant. */
const streamSecrets = "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets";

const trustedBy = (streams: Iterable<SecretStream>) => trusting(streams).map(({ trusted }) => trusted?.version);

/** The longest time that refreshing streams may block the event loop. */
const sliceMs = 5;
/** Generating an RSA key takes 50 ms on another thread. */
const issuedAtOnce = 8;

/** Streams by proxy. The first request of a stream identifies its proxy. */
function createStreamIndex() {
  const meshes = new Map<string, Map<string, Set<SecretStream>>>();
  return {
    add(stream: SecretStream, { mesh, name }: ProxyId): void {
      const ofMesh = meshes.get(mesh) ?? new Map<string, Set<SecretStream>>();
      const ofProxy = ofMesh.get(name) ?? new Set();
      meshes.set(mesh, ofMesh.set(name, ofProxy.add(stream)));
    },
    delete(stream: SecretStream, { mesh, name }: ProxyId): void {
      const ofMesh = meshes.get(mesh);
      const ofProxy = ofMesh?.get(name);
      ofProxy?.delete(stream);
      if (ofProxy?.size === 0) ofMesh?.delete(name);
      if (ofMesh?.size === 0) meshes.delete(mesh);
    },
    *ofMesh(mesh: string): Generator<SecretStream> {
      for (const streams of meshes.get(mesh)?.values() ?? []) yield* streams;
    },
    ofProxy: (mesh: string, name: string): Iterable<SecretStream> => meshes.get(mesh)?.get(name) ?? [],
  };
}

/**
 * Serves SDS from the view over TLS. Resolves once the port is bound.
 * @throws when the port can't be bound, or the certificate can't be used
 */
export async function startSecretServer(options: SecretServerOptions): Promise<SecretServer> {
  const { feed, identities, authenticate, observer, logger, tls, incidents = uncounted } = options;
  const { connectionsPerAddress: perAddress } = options;
  const issuing = createSemaphore(issuedAtOnce, Number.POSITIVE_INFINITY);
  const pace = (issue: () => Promise<void>): void => {
    issuing(() => new Promise<void>((resolve) => inTurn(() => resolve(issue())))).catch((error: unknown) =>
      logger.error("a certificate was not issued", { error }),
    );
  };
  const index = createStreamIndex();
  const agreement = createSecretAgreement({
    streamsOf: ({ mesh, name }) => index.ofProxy(mesh, name),
    observer,
  });
  const refreshes = createSlices<SecretStream>(sliceMs, (stream) => stream.refresh());
  const { port, host } = options;
  const server = await startGrpcServer({
    port,
    host,
    tls,
    logger,
    incidents,
    limits: { message: longestMessage, ...(perAddress === undefined ? {} : { perAddress }) },
    pingEveryMs,
    methods: {
      [streamSecrets](call): GrpcListener {
        let known: ProxyId | undefined;
        const stream: SecretStream = serveSecrets(call, {
          view: feed.view,
          identities,
          authenticate,
          pace,
          logger,
          observer: agreement.observerOf(() => stream),
          incidents,
          proven() {
            if (known !== undefined) agreement.changed(known);
          },
        });
        return {
          message(bytes) {
            const hadBundle = stream.trusted !== undefined;
            stream.message(bytes);
            if (known === undefined && stream.proxy !== undefined) {
              known = stream.proxy;
              index.add(stream, known);
            }
            if (known !== undefined && hadBundle && stream.trusted === undefined) agreement.changed(known);
          },
          closed() {
            stream.closed();
            refreshes.delete(stream);
            if (known === undefined) return;
            index.delete(stream, known);
            agreement.changed(known);
          },
        };
      },
    },
  });

  function* concerned(mesh: string, { authority, mesh: itself, proxies }: Touched): Generator<SecretStream> {
    if (authority || itself) yield* index.ofMesh(mesh);
    else for (const name of proxies) yield* index.ofProxy(mesh, name);
  }
  const unlisten = feed.listen((mesh, touched) => refreshes.add(concerned(mesh, touched)));

  return {
    port: server.port,
    calls: server.calls,
    proxies(mesh) {
      const found = new Map<string, { trusted: (string | undefined)[]; identity: IssuedIdentity | undefined }>();
      for (const { proxy, identity } of index.ofMesh(mesh)) {
        if (proxy === undefined) continue;
        const known = found.get(proxy.name);
        const entry = known ?? { trusted: trustedBy(index.ofProxy(mesh, proxy.name)), identity: undefined };
        if (known === undefined) found.set(proxy.name, entry);
        if (identity !== undefined && !(entry.identity !== undefined && entry.identity.notAfter > identity.notAfter)) {
          entry.identity = identity;
        }
      }
      return found;
    },
    close() {
      unlisten();
      return server.close();
    },
  };
}
