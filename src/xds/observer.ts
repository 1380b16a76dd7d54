import type { XdsKind } from "../envoy/resource.js";

export type { XdsKind } from "../envoy/resource.js";

/** Listens to what happens on discovery streams; this is what DataplaneInsights are made of. */
export interface StreamObserver {
  /** A stream said which proxy it belongs to; `id` is a UUID, one per stream. */
  opened(stream: { readonly id: string; readonly mesh: string; readonly name: string; readonly at: Date }): void;
  sent(id: string, kind: XdsKind, at: Date): void;
  /** Called once per response at most. */
  acknowledged(id: string, kind: XdsKind, at: Date): void;
  /** Called once per response at most; `reason` is the client's own text. */
  rejected(id: string, kind: XdsKind, at: Date, reason: string): void;
  /** The last call for a stream, whatever ended it. */
  closed(id: string, at: Date): void;
}
