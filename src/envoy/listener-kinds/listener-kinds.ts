import type { ListenerKind } from "./listener-kind.js";
import { tcpProxy } from "./tcp-proxy.js";

/** All listener kinds; the first one that matches is used. */
export const listenerKinds: readonly ListenerKind[] = [tcpProxy];
