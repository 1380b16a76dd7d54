// A proxy as the control plane sees it: what kuma-dp's Envoy opens, asks for and acknowledges, on real gRPC clients.
import { ChannelCredentials, Client, type ClientDuplexStream, Metadata } from "@grpc/grpc-js";
import { envoy as base } from "../../proto-gen/envelope/envoy/config/core/v3/base.js";
import { envoy } from "../../proto-gen/envelope/envoy/service/discovery/v3/discovery.js";
import { typeUrls, type XdsKind } from "../../src/envoy/resource.js";
import { identityName, meshCaName } from "../../src/envoy/tls.js";

const { DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse } =
  envoy.service.discovery.v3;

export interface Servers {
  readonly xds: string;
  readonly sds: string;
  /** PEM of what the SDS server presents. */
  readonly root: string;
}

export interface ProxyToken {
  readonly mesh: string;
  readonly name: string;
  readonly token: string;
}

/** What a proxy must have before it serves traffic. */
export const wanted = ["cds", "eds", "lds", meshCaName, identityName] as const;
export type Wanted = (typeof wanted)[number];

/** What stands in a request for one of these and in no other. */
export const markOf = (what: Wanted): string =>
  what === "cds" || what === "eds" || what === "lds" ? typeUrls[what] : what;

export interface ProxyEvents {
  /** Called once for each of `wanted`, with the response's bytes. */
  received(what: Wanted, bytes: Buffer): void;
  failed(error: Error): void;
}

export interface SimulatedProxy {
  /** Connects and asks. */
  start(): void;
  close(): void;
}

export const deltaPath = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
export const secretPath = "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets";

const same = (bytes: Buffer) => bytes;
const bufferOf = (message: { serialize(): Uint8Array }) => Buffer.from(message.serialize());

// Envoy's Google gRPC client opens a connection for each of the two secrets: seen with `ss` beside two real ones.
const ownConnection = { "grpc.use_local_subchannel_pool": 1 };

/** Makes one; nothing is connected before its `start`. `credentials` are for the SDS server. */
export function createProxy(
  servers: Servers,
  credentials: ChannelCredentials,
  { mesh, name, token }: ProxyToken,
  events: ProxyEvents,
): SimulatedProxy {
  const node = new base.config.core.v3.Node({ id: `${mesh}.${name}`, cluster: name });
  const ads = new Client(servers.xds, ChannelCredentials.createInsecure(), ownConnection);
  const secrets = [meshCaName, identityName].map((secret) => ({
    secret,
    client: new Client(servers.sds, credentials, ownConnection),
  }));
  const calls: ClientDuplexStream<Buffer, Buffer>[] = [];
  let closed = false;

  function open(client: Client, path: string, metadata: Metadata, read: (bytes: Buffer) => void) {
    const call = client.makeBidiStreamRequest(path, same, same, metadata);
    calls.push(call);
    call.on("data", read);
    call.on("error", (error: Error) => closed || events.failed(error));
    call.on("end", () => closed || events.failed(new Error(`${path} ended`)));
    return call;
  }

  /** Clusters first, then their endpoints and, with those there, listeners. */
  function startDelta(): void {
    const had = new Set<string>();
    const ask = (kind: XdsKind, nonce: string, names: readonly string[] = []) =>
      call.write(
        bufferOf(
          new DeltaDiscoveryRequest({
            ...(nonce === "" && kind === "cds" ? { node } : {}),
            type_url: typeUrls[kind],
            response_nonce: nonce,
            resource_names_subscribe: [...names],
          }),
        ),
      );
    const call = open(ads, deltaPath, new Metadata(), (bytes) => {
      const { type_url: typeUrl, nonce, resources } = DeltaDiscoveryResponse.deserialize(bytes);
      const kind = (["cds", "eds", "lds"] as const).find((one) => typeUrls[one] === typeUrl);
      if (kind === undefined) return;
      ask(kind, nonce);
      if (had.has(kind)) return;
      had.add(kind);
      if (kind === "cds") {
        const services = resources.map((resource) => resource.name).filter((cluster) => !cluster.includes(":"));
        ask("eds", "", services);
      }
      if (kind === "eds") ask("lds", "");
      events.received(kind, bytes);
    });
    ask("cds", "");
  }

  function startSecret(client: Client, secret: typeof meshCaName | typeof identityName): void {
    const metadata = new Metadata();
    metadata.set("authorization", token);
    let had = false;
    const ask = (nonce: string, version: string) =>
      call.write(
        bufferOf(
          new DiscoveryRequest({
            ...(nonce === "" ? { node } : {}),
            type_url: typeUrls.sds,
            resource_names: [secret],
            response_nonce: nonce,
            version_info: version,
          }),
        ),
      );
    const call = open(client, secretPath, metadata, (bytes) => {
      const { nonce, version_info: version } = DiscoveryResponse.deserialize(bytes);
      ask(nonce, version);
      if (!had) events.received(secret, bytes);
      had = true;
    });
    ask("", "");
  }

  return {
    start() {
      startDelta();
      for (const { client, secret } of secrets) startSecret(client, secret as typeof identityName);
    },
    close() {
      closed = true;
      for (const call of calls) call.cancel();
      for (const client of [ads, ...secrets.map((entry) => entry.client)]) client.close();
    },
  };
}
