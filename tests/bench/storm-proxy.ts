// A proxy as the control plane sees it: what kuma-dp's Envoy opens, asks for and acknowledges, on real gRPC clients.
import { ChannelCredentials, Client, type ClientDuplexStream, Metadata } from "@grpc/grpc-js";
import { envoy } from "../../proto-gen/envelope/envoy/service/discovery/v3/discovery.js";
import { typeUrls } from "../../src/envoy/resource.js";
import { identityName, meshCaName } from "../../src/envoy/tls.js";
import { createDialect, type Followed, type Mode, nodeOf } from "./storm-dialect.js";

const { DiscoveryRequest, DiscoveryResponse } = envoy.service.discovery.v3;

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

export interface ProxyOptions {
  readonly mode: Mode;
  /** Whether it follows its secrets, too, as all do in a mesh with mTLS. */
  readonly secrets: boolean;
  /** Whether a stream that breaks is opened again, as Envoy does. */
  readonly persistent: boolean;
}

/** What a proxy must have before it serves traffic; secrets only with mTLS. */
export const wanted = ["cds", "eds", "lds", meshCaName, identityName] as const;
export type Wanted = (typeof wanted)[number];

export const wantedBy = ({ secrets }: Pick<ProxyOptions, "secrets">): readonly Wanted[] =>
  secrets ? wanted : ["cds", "eds", "lds"];

/** What stands in a request for one of these and in no other. */
export const markOf = (what: Wanted): string =>
  what === "cds" || what === "eds" || what === "lds" ? typeUrls[what] : what;

export interface ProxyEvents {
  /** A response came, with these bytes, and its acknowledgement is on its way. */
  acknowledged(what: Wanted, bytes: Buffer): void;
  failed(error: Error): void;
}

export interface SimulatedProxy {
  /** Connects and asks. */
  start(): void;
  close(): void;
}

export const secretPath = "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets";

const same = (bytes: Buffer) => bytes;

/** Envoy's waits before it opens a broken stream again: up to 500 ms, twice that the next time, and so on. */
const firstRetryMs = 500;
const longestRetryMs = 30_000;

const channel = {
  // Envoy's Google gRPC client opens a connection for each of the two secrets: seen with `ss` beside two real ones.
  "grpc.use_local_subchannel_pool": 1,
  "grpc.initial_reconnect_backoff_ms": firstRetryMs,
  "grpc.max_reconnect_backoff_ms": 10_000,
};

/** How one stream begins, and what it answers. */
interface Conversation {
  readonly path: string;
  open(): readonly Buffer[];
  answer(bytes: Buffer): { readonly what: Wanted; readonly requests: readonly Buffer[] } | undefined;
}

function aboutConfiguration(mode: Mode, id: string): Conversation {
  const { path, open, answer } = createDialect(mode, id);
  return {
    path,
    open,
    answer(bytes) {
      const told = answer(bytes);
      return told && { what: told.kind satisfies Followed, requests: told.requests };
    },
  };
}

function aboutSecret(secret: typeof meshCaName | typeof identityName, id: string): Conversation {
  const node = nodeOf(id);
  let version = "";
  const request = (nonce: string) =>
    Buffer.from(
      new DiscoveryRequest({
        ...(nonce === "" ? { node } : {}),
        type_url: typeUrls.sds,
        resource_names: [secret],
        response_nonce: nonce,
        version_info: version,
      }).serialize(),
    );
  return {
    path: secretPath,
    open: () => [request("")],
    answer(bytes) {
      const response = DiscoveryResponse.deserialize(bytes);
      version = response.version_info;
      return { what: secret, requests: [request(response.nonce)] };
    },
  };
}

/**
 * Makes one; nothing is connected before its `start`. `credentials` are for the SDS server; the token is asked for
 * when a stream begins, as Envoy reads it from a file.
 */
export function createProxy(
  servers: Servers,
  credentials: ChannelCredentials,
  token: () => ProxyToken,
  { mode, secrets, persistent }: ProxyOptions,
  events: ProxyEvents,
): SimulatedProxy {
  const { mesh, name } = token();
  const id = `${mesh}.${name}`;
  const clients: Client[] = [];
  const calls = new Set<ClientDuplexStream<Buffer, Buffer>>();
  const retries = new Set<NodeJS.Timeout>();
  let closed = false;

  function hold(client: Client, { path, open, answer }: Conversation): void {
    let attempts = 0;
    function begin(): void {
      const metadata = new Metadata({ waitForReady: persistent });
      if (path === secretPath) metadata.set("authorization", token().token);
      const call = client.makeBidiStreamRequest(path, same, same, metadata);
      calls.add(call);
      let over = false;
      const ended = (error: Error) => {
        if (over || closed) return;
        over = true;
        calls.delete(call);
        if (!persistent) {
          events.failed(error);
          return;
        }
        const timer = setTimeout(
          () => {
            retries.delete(timer);
            begin();
          },
          Math.random() * Math.min(longestRetryMs, firstRetryMs * 2 ** attempts),
        );
        retries.add(timer);
        attempts += 1;
      };
      call.on("data", (bytes: Buffer) => {
        attempts = 0;
        const told = answer(bytes);
        if (told === undefined) return;
        for (const request of told.requests) call.write(request);
        events.acknowledged(told.what, bytes);
      });
      call.on("error", ended);
      call.on("end", () => ended(new Error(`${path} ended`)));
      for (const request of open()) call.write(request);
    }
    clients.push(client);
    begin();
  }

  return {
    start() {
      hold(new Client(servers.xds, ChannelCredentials.createInsecure(), channel), aboutConfiguration(mode, id));
      if (!secrets) return;
      for (const secret of [meshCaName, identityName] as const)
        hold(new Client(servers.sds, credentials, channel), aboutSecret(secret, id));
    },
    close() {
      closed = true;
      for (const timer of retries) clearTimeout(timer);
      for (const call of calls) call.cancel();
      for (const client of clients) client.close();
    },
  };
}
