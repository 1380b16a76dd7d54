import type { XdsKind } from "../envoy/resource.js";
import type { RefusedResource } from "./configuration/session.js";
import type { ProxyId } from "./node.js";

export type { XdsKind } from "../envoy/resource.js";
export type { RefusedResource } from "./configuration/session.js";

/** Receives the events of discovery streams, from which DataplaneInsights are built. */
export interface StreamObserver {
  /** A stream sent its node id. `id` is a UUID, one per stream. */
  opened(stream: { readonly id: string; readonly mesh: string; readonly name: string; readonly at: Date }): void;
  sent(id: string, kind: XdsKind, at: Date): void;
  /** Called once per response at most. */
  acknowledged(id: string, kind: XdsKind, at: Date): void;
  /** Called once per response at most; `reason` is the client's error message. */
  rejected(id: string, kind: XdsKind, at: Date, reason: string): void;
  /** The rejected resources of the client's current configuration changed; empty when none is rejected any more. */
  refusing(id: string, refused: readonly RefusedResource[], at: Date): void;
  /** The last call for a stream, however it ended. */
  closed(id: string, at: Date): void;
}

/** Receives the events of secret streams. */
export interface SecretObserver {
  /** The proxy acknowledged this certificate. */
  certified(proxy: ProxyId, certificate: { readonly notAfter: Date }, at: Date): void;
  /** The proxy acknowledged the trust bundle of this version (`bundleVersion`). */
  trusting(proxy: ProxyId, version: string): void;
  /** The proxy, or a client that claims to be it, was refused a certificate. */
  refused(proxy: ProxyId, reason: string, at: Date): void;
}
