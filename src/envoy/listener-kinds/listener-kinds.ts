import type { ListenerKind } from "./listener-kind.js";
import { tcpProxy } from "./tcp-proxy.js";

/** Every kind of listener: the first that serves something does. */
export const listenerKinds: readonly ListenerKind[] = [tcpProxy];
