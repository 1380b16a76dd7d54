import { typeUrls } from "../../../src/envoy/resource.js";
import { deltaPath, sotwPath } from "../../bench/storm-dialect.js";
import { secretPath } from "../../bench/storm-proxy.js";
import type { Random } from "../form/soak.js";
import { bytesField } from "./protobuf.js";

/** Node ids of the mesh that the honest clients live in: a fuzzer speaks in their name, too. */
export const liveNodes = ["default.honest", "default.web-1", "default.web-2"] as const;

export const methodPaths: readonly string[] = [deltaPath, sotwPath, secretPath];

export const oddPaths: readonly string[] = [
  ...["constructor", "__proto__", "toString", "hasOwnProperty", "valueOf", "__defineGetter__", "isPrototypeOf"],
  ...["/constructor", "/", "", "*", "/a/b", "//", "/%00", "/%ff", `/${"x".repeat(5000)}`, `${deltaPath}/`, "é"],
];

export const oddContentTypes: readonly string[] = [
  ...["application/grpc+proto", "application/grpc-web", "application/json", "text/plain", "", "application/grpc;"],
  "x".repeat(4000),
];

export const oddNodes: readonly string[] = [
  ...["default.nobody", "nodot", "", ".", ".x", "x.", "__proto__.x", "default.__proto__", "constructor.constructor"],
  ...["default.\0", "a.b.c.d", `default.${"n".repeat(16_000)}`, "é.ü", "default.web-1 "],
];

export const knownTypes: readonly string[] = Object.values(typeUrls);

export const nodeId = (random: Random): string => (random.chance(0.7) ? random.pick(liveNodes) : random.pick(oddNodes));

/** A DeltaDiscoveryRequest as a new stream begins with: node and type. */
export function firstRequest(random: Random): Buffer {
  const node = bytesField(1, bytesField(1, nodeId(random)));
  return Buffer.concat([node, bytesField(2, random.pick(knownTypes))]);
}
