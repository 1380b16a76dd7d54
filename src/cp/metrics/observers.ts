import type { StreamObserver } from "../../xds/observer.js";

/** Combines two observers; the first is called first. */
export function both(first: StreamObserver, second: StreamObserver): StreamObserver {
  return {
    opened(stream) {
      first.opened(stream);
      second.opened(stream);
    },
    sent(id, kind, at) {
      first.sent(id, kind, at);
      second.sent(id, kind, at);
    },
    acknowledged(id, kind, at) {
      first.acknowledged(id, kind, at);
      second.acknowledged(id, kind, at);
    },
    rejected(id, kind, at, reason) {
      first.rejected(id, kind, at, reason);
      second.rejected(id, kind, at, reason);
    },
    refusing(id, refused, at) {
      first.refusing(id, refused, at);
      second.refusing(id, refused, at);
    },
    closed(id, at) {
      first.closed(id, at);
      second.closed(id, at);
    },
  };
}
