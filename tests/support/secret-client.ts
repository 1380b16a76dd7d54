import tls from "node:tls";
import { fromBinary } from "@bufbuild/protobuf";
import { Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { envoy as core } from "../../proto-gen/envelope/envoy/config/core/v3/base.js";
import { envoy as discovery } from "../../proto-gen/envelope/envoy/service/discovery/v3/discovery.js";
import { google } from "../../proto-gen/envelope/google/rpc/status.js";
import { SecretSchema } from "../../proto-gen/es/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import { eventually } from "./eventually.js";

const { DeltaDiscoveryRequest, DiscoveryRequest, DiscoveryResponse } = discovery.service.discovery.v3;
const secretType = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
const identity = (bytes: Buffer) => bytes;

export interface SecretResponse {
  readonly nonce: string;
  readonly version: string;
  /** The roots as PEM, when the response has them. */
  readonly bundle: string | undefined;
  /** As PEM, when the response has them. */
  readonly certificate: string | undefined;
  readonly key: string | undefined;
}

export interface SecretClient {
  readonly responses: readonly SecretResponse[];
  /** Why the server ended the stream; undefined while it is open. */
  readonly ended: ServiceError | undefined;
  request(names: readonly string[], nonce?: string, refusal?: string): void;
  /** Waits for this many responses. */
  next(count: number): Promise<SecretResponse>;
  close(): void;
}

/** The certificate that a TLS server presents, as PEM. */
export function presented(port: number, options: tls.ConnectionOptions = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ...options }, () => {
      const certificate = socket.getPeerX509Certificate();
      socket.destroy();
      if (certificate === undefined) reject(new Error("no certificate was presented"));
      else resolve(certificate.toString());
    });
    socket.on("error", reject);
  });
}

function read(bytes: Buffer): SecretResponse {
  const message = DiscoveryResponse.deserialize(bytes);
  let found: Omit<SecretResponse, "nonce" | "version"> = { bundle: undefined, certificate: undefined, key: undefined };
  for (const any of message.resources) {
    const { type } = fromBinary(SecretSchema, any.value);
    if (type.case === "validationContext") {
      const roots = type.value.trustedCa?.specifier;
      if (roots?.case === "inlineBytes") found = { ...found, bundle: Buffer.from(roots.value).toString() };
    } else if (type.case === "tlsCertificate") {
      const chain = type.value.certificateChain?.specifier;
      const key = type.value.privateKey?.specifier;
      if (chain?.case === "inlineBytes") found = { ...found, certificate: Buffer.from(chain.value).toString() };
      if (key?.case === "inlineBytes") found = { ...found, key: Buffer.from(key.value).toString() };
    }
  }
  return { nonce: message.nonce, version: message.version_info, ...found };
}

/** Opens a secret stream as Envoy does, for a proxy `<mesh>.<name>`. */
export async function openSecretStream(port: number, node: string, token?: string | string[]): Promise<SecretClient> {
  const root = await presented(port, { ALPNProtocols: ["h2"] });
  const client = new Client(`127.0.0.1:${port}`, credentials.createSsl(Buffer.from(root)), {
    "grpc-node.max_session_memory": 64,
  });
  const metadata = new Metadata();
  for (const value of token === undefined ? [] : [token].flat()) metadata.add("authorization", value);
  const method = "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets";
  const call = client.makeBidiStreamRequest(method, identity, identity, metadata);
  const responses: SecretResponse[] = [];
  let ended: ServiceError | undefined;
  let first = true;
  call.on("data", (bytes: Buffer) => void responses.push(read(bytes)));
  call.on("error", (error: ServiceError) => {
    ended = error;
  });
  return {
    responses,
    get ended() {
      return ended;
    },
    request(names, nonce = "", refusal) {
      const request = new DiscoveryRequest({
        type_url: secretType,
        resource_names: [...names],
        response_nonce: nonce,
        ...(first ? { node: new core.config.core.v3.Node({ id: node }) } : {}),
        ...(refusal === undefined ? {} : { error_detail: new google.rpc.Status({ code: 13, message: refusal }) }),
      });
      first = false;
      call.write(Buffer.from(request.serialize()));
    },
    async next(count) {
      await eventually(`${count} responses`, () => {
        if (ended !== undefined && ended.code !== status.CANCELLED) throw ended;
        return responses.length >= count;
      });
      const response = responses[count - 1];
      if (response === undefined) throw new Error("there is no such response");
      return response;
    },
    close() {
      call.cancel();
      client.close();
    },
  };
}

/** Opens an aggregated stream that identifies its node and accepts nothing: its proxy counts as connected until `close`. */
export function openBareDiscovery(port: number, node: string): { close(): void } {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const method = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
  const call = client.makeBidiStreamRequest(method, identity, identity);
  call.on("error", () => {});
  const request = new DeltaDiscoveryRequest({
    type_url: "type.googleapis.com/envoy.config.cluster.v3.Cluster",
    node: new core.config.core.v3.Node({ id: node }),
  });
  call.write(Buffer.from(request.serialize()));
  return {
    close() {
      call.cancel();
      client.close();
    },
  };
}

export interface Credentials {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

/** Fetches the certificate, key and roots of a proxy, as its Envoy would. */
export async function fetchCredentials(port: number, node: string, token?: string): Promise<Credentials> {
  const stream = await openSecretStream(port, node, token);
  try {
    stream.request(["mesh_ca", "identity_cert"]);
    let [ca, cert, key] = ["", "", ""];
    for (let count = 1; ca === "" || cert === ""; count++) {
      const { bundle, certificate, key: own, nonce } = await stream.next(count);
      if (bundle !== undefined) ca = bundle;
      if (certificate !== undefined) [cert, key] = [certificate, own ?? ""];
      stream.request(["mesh_ca", "identity_cert"], nonce);
    }
    return { cert, key, ca };
  } finally {
    stream.close();
  }
}

/** Connects to a sidecar's inbound with TLS and returns what the service sent; "" when the peer closed without data. */
export function greetingOverTls(
  port: number,
  own: Partial<Credentials>,
  version: "TLSv1.2" | "TLSv1.3",
): Promise<string> {
  return new Promise((resolve) => {
    let received = "";
    const socket = tls.connect({
      port,
      host: "127.0.0.1",
      ...own,
      rejectUnauthorized: false,
      minVersion: version,
      maxVersion: version,
    });
    socket.on("data", (chunk) => {
      received += chunk.toString();
      if (received.endsWith("\n")) socket.destroy();
    });
    // With TLS 1.3 a rejection only arrives after the client considers the handshake finished.
    socket.on("error", () => socket.destroy());
    socket.on("close", () => resolve(received.trim()));
    socket.setTimeout(20_000, () => socket.destroy());
  });
}
