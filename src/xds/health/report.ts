import { BinaryReader } from "google-protobuf";
import { callError } from "../../net/grpc-status.js";
import { readNodeId } from "../decode.js";
import { LimitExceeded, xdsLimits } from "../limits.js";

/** What an Envoy says on its health stream. */
export interface HealthMessage {
  /** Of its first message; empty in later ones. */
  readonly nodeId: string;
  /** By cluster, whether all of it is well; undefined when the message is no report. */
  readonly clusters: ReadonlyMap<string, boolean> | undefined;
}

/** envoy.config.core.v3.HealthStatus; what is neither named here nor known later counts as not well. */
const wellStatuses: ReadonlySet<number> = new Set([0, 1, 5]);

type Visit = (field: number, reader: BinaryReader) => boolean;

/** Visits each field; what the visitor does not read is skipped. */
function visit(bytes: Uint8Array, read: Visit): void {
  const reader = new BinaryReader(bytes);
  while (reader.nextField()) if (!read(reader.getFieldNumber(), reader)) reader.skipField();
}

function endpointIsWell(bytes: Uint8Array): boolean {
  let status = 0;
  visit(bytes, (field, reader) => {
    if (field !== 2 || reader.getWireType() !== 0) return false;
    status = reader.readEnum();
    return true;
  });
  return wellStatuses.has(status);
}

function localityIsWell(bytes: Uint8Array): boolean {
  let well = true;
  visit(bytes, (field, reader) => {
    if (field !== 2 || !reader.isDelimited()) return false;
    well = endpointIsWell(reader.readBytes()) && well;
    return true;
  });
  return well;
}

function readCluster(bytes: Uint8Array): { readonly name: string; readonly well: boolean } {
  let name = "";
  let well = true;
  visit(bytes, (field, reader) => {
    if (!reader.isDelimited()) return false;
    if (field === 1) name = Buffer.from(reader.readBytes()).toString();
    else if (field === 2) well = localityIsWell(reader.readBytes()) && well;
    else return false;
    return true;
  });
  return { name, well };
}

function readReport(bytes: Uint8Array): Map<string, boolean> {
  const most = xdsLimits.names_in_request.value;
  const clusters = new Map<string, boolean>();
  visit(bytes, (field, reader) => {
    if (field !== 2 || !reader.isDelimited()) return false;
    const { name, well } = readCluster(reader.readBytes());
    clusters.set(name, well);
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
 * @throws LimitExceeded when it goes beyond a limit
 * @throws Error when the bytes are no such message
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
