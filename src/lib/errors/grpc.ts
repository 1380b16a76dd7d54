import { ending } from "./entry.js";

/** Errors that end a gRPC call of an Envoy; `ofLimit` appends the name of the exceeded limit to the message. */
export const grpcErrors = {
  "grpc.method": ending("unimplemented")`there is no method ${"path"}`,
  "grpc.compressed": ending("unimplemented")`compressed messages are not supported`,
  "grpc.calls": ending("resourceExhausted")`there are ${"most"} open calls already`,
  "grpc.message": ending("resourceExhausted")`a message is longer than ${"most"} bytes`,
  "grpc.first-message": ending("resourceExhausted")`the first message is longer than ${"most"} bytes`,
  "grpc.first-message-time": ending("deadlineExceeded")`there was no valid request within ${"seconds"} s`,
  "grpc.unfinished": ending(
    "resourceExhausted",
  )`too many messages and bodies are incomplete, this one for the longest time`,
  "grpc.closing": ending("unavailable")`the control plane is shutting down`,
  /** Anything unexpected is a bug: its cause is logged, never sent. */
  "grpc.internal": ending("internal")`the message could not be handled`,

  "xds.old-api": ending(
    "unimplemented",
  )`this control plane serves xDS v3 only, and this Envoy requests v2: it is too old;
    use the kuma-dp and the envoy that come with kuma-cp`,
  "xds.message": ending("invalidArgument")`the message is not a ${"expected"}`,
  "xds.no-type": ending("invalidArgument")`type_url is required on an aggregated stream`,
  "xds.node-id": ending("invalidArgument")`the first ${"message"} must carry a node id of the form <mesh>.<name>, not
    "${"id"}"`,
  "xds.names": ending("resourceExhausted")`the stream subscribes to more than ${"most"} names of ${"type"}`,
  "xds.name-length": ending("resourceExhausted")`a name has ${"length"} characters, more than ${"most"}`,
  "xds.text-length": ending("resourceExhausted")`${"what"} has ${"length"} bytes, more than ${"most"}`,
  "xds.count": ending("resourceExhausted")`the ${"message"} has more than ${"most"} ${"what"}`,
  "xds.placements": ending(
    "resourceExhausted",
  )`the open streams of ${"proxy"} already have ${"most"} different combinations
    of dataplaneTokenPath, logDirectories, controlPlaneHost and bootstrapRevision in their nodes' metadata; close some
    of them first`,
  "sds.type": ending("invalidArgument")`this server serves secrets only`,
  "sds.secret": ending("notFound")`secret "${"name"}" is not supported; supported are ${"known"}`,
  "sds.mesh": ending("notFound")`there is no Mesh "${"mesh"}"`,
  "sds.dataplane": ending("notFound")`there is no Dataplane "${"name"}" with a service in mesh "${"mesh"}"`,
  /** The reason is logged, never sent: the peer is not authenticated. */
  "sds.unauthenticated": ending("unauthenticated")`the dataplane could not be authenticated`,
} as const;
