import { Server, ServerCredentials, type ServiceDefinition } from "@grpc/grpc-js";
import type { Logger } from "../lib/logger.js";
import type { ViewFeed } from "./feed.js";
import { bindServer, bytesStream, closeServer, serverOptions } from "./grpc-server.js";
import type { Authenticate, Identities, IssuedIdentity } from "./identities.js";
import type { SecretObserver } from "./observer.js";
import { createPacer } from "./pacer.js";
import { type SecretCall, type SecretStream, serveSecrets } from "./secret-stream.js";

/** What a proxy has of its secrets, as far as it acknowledged them on its present streams. */
export interface ProxySecrets {
  /** Versions (`bundleVersion`) of the roots it trusts, one a stream; undefined in it: not acknowledged yet. */
  readonly trusted: readonly (string | undefined)[];
  /** The certificate it uses. */
  readonly identity: IssuedIdentity | undefined;
}

export interface SecretServer {
  readonly port: number;
  /** The proxies of a mesh that have a secret stream with this control plane, by name. */
  proxies(mesh: string): ReadonlyMap<string, ProxySecrets>;
  close(): Promise<void>;
}

export interface SecretServerOptions {
  /** 0: any free port. */
  readonly port: number;
  /** Default: all interfaces, IPv4 and IPv6. */
  readonly host?: string;
  /** PEM: what the server presents. */
  readonly tls: { readonly cert: string; readonly key: string };
  readonly feed: ViewFeed;
  readonly identities: Identities;
  readonly authenticate: Authenticate;
  readonly observer: SecretObserver;
  readonly logger: Logger;
}

/** State of the world only: that is what Envoy's Google gRPC client asks for. */
const secretDiscovery: ServiceDefinition = {
  StreamSecrets: bytesStream("/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets"),
};

/** Certificates are issued in slices of this length. */
const sliceMs = 5;

/**
 * Serves SDS from the view over TLS. Resolves once the port is bound.
 * @throws when the port can't be bound, or the certificate can't be used
 */
export async function startSecretServer(options: SecretServerOptions): Promise<SecretServer> {
  const { feed, identities, authenticate, observer, logger, tls } = options;
  const pace = createPacer(sliceMs);
  const streams = new Set<SecretStream>();
  const byMesh = new Map<string, Set<SecretStream>>();

  const server = new Server(serverOptions);
  server.addService(secretDiscovery, {
    StreamSecrets(call: SecretCall) {
      const stream = serveSecrets(call, { view: feed.view, identities, authenticate, pace, logger, observer });
      streams.add(stream);
      // Which mesh it belongs to is known with its first request, which the stream itself has read by then.
      call.once("data", () => {
        if (stream.proxy === undefined) return;
        const { mesh } = stream.proxy;
        const known = byMesh.get(mesh);
        if (known === undefined) byMesh.set(mesh, new Set([stream]));
        else known.add(stream);
      });
      call.on("close", () => {
        streams.delete(stream);
        if (stream.proxy === undefined) return;
        const left = byMesh.get(stream.proxy.mesh);
        left?.delete(stream);
        if (left?.size === 0) byMesh.delete(stream.proxy.mesh);
      });
    },
  });
  const credentials = ServerCredentials.createSsl(
    null,
    [{ cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) }],
    false,
  );
  const { port, host } = options;
  const acceptor = await bindServer(server, { port, host, credentials, logger });

  const unlisten = feed.listen((mesh, touched) => {
    const all = touched.authority || touched.mesh;
    if (!all && touched.proxies.size === 0) return;
    for (const stream of byMesh.get(mesh) ?? []) {
      if (all || touched.proxies.has(stream.proxy?.name ?? "")) stream.refresh();
    }
  });

  return {
    port: acceptor.port,
    proxies(mesh) {
      const found = new Map<string, { trusted: (string | undefined)[]; identity: IssuedIdentity | undefined }>();
      for (const { proxy, trusted, identity } of byMesh.get(mesh) ?? []) {
        if (proxy === undefined) continue;
        const entry = found.get(proxy.name) ?? { trusted: [], identity: undefined };
        found.set(proxy.name, entry);
        if (trusted !== undefined) entry.trusted.push(trusted.version);
        if (identity !== undefined && !(entry.identity !== undefined && entry.identity.notAfter > identity.notAfter)) {
          entry.identity = identity;
        }
      }
      return found;
    },
    async close() {
      unlisten();
      await closeServer(
        server,
        acceptor,
        [...streams].map((stream) => stream.end),
      );
    },
  };
}
