import { BinaryReader } from "google-protobuf";
import { callError } from "../../net/grpc-status.js";
import { readNodeId } from "../decode.js";
import { LimitExceeded, xdsLimits } from "../limits.js";

/** A message of an Envoy on its health stream. */
export interface HealthMessage {
  /** The node id of the first message; empty in later ones. */
  readonly nodeId: string;
  /** Whether all endpoints of each cluster are healthy, by cluster name; undefined when the message is not a report. */
  readonly clusters: ReadonlyMap<string, boolean> | undefined;
}

/** Values of envoy.config.core.v3.HealthStatus; all others, unknown ones included, count as unhealthy. */
const healthyStatuses: ReadonlySet<number> = new Set([0, 1, 5]);

type Visit = (field: number, reader: BinaryReader) => boolean;

/** Visits each field and skips those that the visitor does not read. */
function visit(bytes: Uint8Array, read: Visit): void {
  const reader = new BinaryReader(bytes);
  while (reader.nextField()) if (!read(reader.getFieldNumber(), reader)) reader.skipField();
}

function isEndpointHealthy(bytes: Uint8Array): boolean {
  let status = 0;
  visit(bytes, (field, reader) => {
    if (field !== 2 || reader.getWireType() !== 0) return false;
    status = reader.readEnum();
    return true;
  });
  return healthyStatuses.has(status);
}

function isLocalityHealthy(bytes: Uint8Array): boolean {
  let healthy = true;
  visit(bytes, (field, reader) => {
    if (field !== 2 || !reader.isDelimited()) return false;
    healthy = isEndpointHealthy(reader.readBytes()) && healthy;
    return true;
  });
  return healthy;
}

function readCluster(bytes: Uint8Array): { readonly name: string; readonly healthy: boolean } {
  let name = "";
  let healthy = true;
  visit(bytes, (field, reader) => {
    if (!reader.isDelimited()) return false;
    if (field === 1) name = Buffer.from(reader.readBytes()).toString();
    else if (field === 2) healthy = isLocalityHealthy(reader.readBytes()) && healthy;
    else return false;
    return true;
  });
  return { name, healthy };
}

function readReport(bytes: Uint8Array): Map<string, boolean> {
  const most = xdsLimits.names_in_request.value;
  const clusters = new Map<string, boolean>();
  visit(bytes, (field, reader) => {
    if (field !== 2 || !reader.isDelimited()) return false;
    const { name, healthy } = readCluster(reader.readBytes());
    clusters.set(name, healthy);
    if (clusters.size > most)
      throw new LimitExceeded(
        "names_in_request",
        callError("xds.count", { message: "report", most, what: "clusters" }),
      );
    return true;
  });
  return clusters;
}

/**
 * Reads a HealthCheckRequestOrEndpointHealthResponse.
 * @throws LimitExceeded when it exceeds a limit
 * @throws Error when the bytes are not such a message
 */
export function decodeHealthMessage(bytes: Uint8Array): HealthMessage {
  let nodeId = "";
  let clusters: Map<string, boolean> | undefined;
  visit(bytes, (field, reader) => {
    if (!reader.isDelimited()) return false;
    if (field === 1) {
      visit(reader.readBytes(), (inner, request) => {
        if (inner !== 1 || !request.isDelimited()) return false;
        nodeId = readNodeId(request.readBytes());
        return true;
      });
    } else if (field === 2) clusters = readReport(reader.readBytes());
    else return false;
    return true;
  });
  return { nodeId, clusters };
}
