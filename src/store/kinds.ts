import { kubernetesKind } from "./kubernetes/kind.js";
import { memoryKind } from "./memory.js";
import { postgresKind } from "./postgres/kind.js";

/** Every kind of store; the first is the default. */
export const storeKinds = [memoryKind, postgresKind, kubernetesKind] as const;
