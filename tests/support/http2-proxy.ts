import http2 from "node:http2";
import type { AddressInfo } from "node:net";

/** An HTTP/2 proxy on 127.0.0.1, as a load balancer for gRPC is one. */
export interface Http2Proxy {
  readonly port: number;
  /** The port of the server behind it; it may be set later. */
  target: number;
  close(): Promise<void>;
}

const connectionSpecific = new Set(["connection", "host", "http2-settings", "keep-alive", "proxy-connection"]);

/** The headers that a request or response keeps on its way through a proxy. */
const forwarded = (headers: http2.IncomingHttpHeaders) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !connectionSpecific.has(name)));

/**
 * Starts a proxy that passes streams on, with one connection to the server for each of a client. Keepalive pings are
 * between neighbours in HTTP/2, so it answers those of the server in place of its client, whatever that one does.
 */
export async function startHttp2Proxy(): Promise<Http2Proxy> {
  const state = { target: 0 };
  const sessions = new Set<http2.Http2Session>();
  const keep = (session: http2.Http2Session) => {
    sessions.add(session);
    session.on("error", () => session.destroy());
    session.once("close", () => sessions.delete(session));
  };
  const server = http2.createServer();
  server.on("session", (downstream) => {
    const upstream = http2.connect(`http://127.0.0.1:${state.target}`);
    keep(downstream);
    keep(upstream);
    downstream.once("close", () => upstream.destroy());
    upstream.once("close", () => downstream.destroy());
    downstream.on("stream", (stream, headers) => {
      const request = upstream.request(forwarded(headers));
      let trailers: http2.IncomingHttpHeaders = {};
      request.on("response", (answer, flags) => {
        const endStream = (flags & http2.constants.NGHTTP2_FLAG_END_STREAM) !== 0;
        if (!stream.destroyed) stream.respond(forwarded(answer), { endStream, waitForTrailers: !endStream });
      });
      request.on("trailers", (sent) => {
        trailers = sent;
      });
      stream.on("wantTrailers", () => stream.sendTrailers(forwarded(trailers)));
      stream.pipe(request).pipe(stream);
      for (const [end, other] of [
        [stream, request],
        [request, stream],
      ] as const) {
        end.on("error", () => other.destroy());
        end.once("close", () => {
          if (!other.writableEnded) other.destroy();
        });
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return Object.assign(state, {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const session of sessions) session.destroy();
      await closed;
    },
  });
}
