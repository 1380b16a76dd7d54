import type { X509Certificate } from "node:crypto";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { TLSSocket } from "node:tls";
import { unmapped } from "../lib/host.js";
import type { HttpRequest } from "./exchange.js";

/** A request received on a socket. Properties that few endpoints use are computed on access. */
export class ServerRequest implements HttpRequest {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly #socket: IncomingMessage["socket"];
  /** Kept because Node forgets it when the connection is closed. */
  readonly #remoteAddress: string;

  constructor({ method = "GET", url = "/", headers, socket }: IncomingMessage, body: Buffer) {
    const mark = url.indexOf("?");
    this.method = method;
    this.path = mark < 0 ? url : url.slice(0, mark);
    this.query = mark < 0 ? "" : url.slice(mark + 1);
    this.headers = headers;
    this.body = body;
    this.#socket = socket;
    this.#remoteAddress = socket.remoteAddress ?? "";
  }

  get peer(): string {
    return unmapped(this.#remoteAddress);
  }

  get localAddress(): string | undefined {
    return this.#socket.localAddress;
  }

  get clientCertificate(): X509Certificate | undefined {
    return this.#socket instanceof TLSSocket ? this.#socket.getPeerX509Certificate() : undefined;
  }
}
