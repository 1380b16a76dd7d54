import type { XdsKind } from "../envoy/resource.js";
import type { RefusedResource } from "./configuration/session.js";
import type { ProxyId } from "./node.js";

export type { XdsKind } from "../envoy/resource.js";
export type { RefusedResource } from "./configuration/session.js";

/** Listens to what happens on discovery streams; this is what DataplaneInsights are made of. */
export interface StreamObserver {
  /** A stream said which proxy it belongs to; `id` is a UUID, one per stream. */
  opened(stream: { readonly id: string; readonly mesh: string; readonly name: string; readonly at: Date }): void;
  sent(id: string, kind: XdsKind, at: Date): void;
  /** Called once per response at most. */
  acknowledged(id: string, kind: XdsKind, at: Date): void;
  /** Called once per response at most; `reason` is the client's own text. */
  rejected(id: string, kind: XdsKind, at: Date, reason: string): void;
  /** What the client refuses of its present configuration has changed; nothing at all when all is well again. */
  refusing(id: string, refused: readonly RefusedResource[], at: Date): void;
  /** The last call for a stream, whatever ended it. */
  closed(id: string, at: Date): void;
}

/** Listens to what happens on secret streams. */
export interface SecretObserver {
  /** The proxy uses this certificate from now on. */
  certified(proxy: ProxyId, certificate: { readonly notAfter: Date }, at: Date): void;
  /** The proxy trusts the roots of this version (`bundleVersion`) from now on. */
  trusting(proxy: ProxyId, version: string): void;
  /** The proxy, or somebody who says that he is it, was refused a certificate. */
  refused(proxy: ProxyId, reason: string, at: Date): void;
}
