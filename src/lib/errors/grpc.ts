import { ending } from "./entry.js";

/** Errors that end a gRPC call of an Envoy; `ofLimit` appends the name of the exceeded limit to the message. */
export const grpcErrors = {
  "grpc.method": ending("unimplemented")`there is no method ${"path"}`,
  "grpc.compressed": ending("unimplemented")`messages can't be compressed`,
  "grpc.calls": ending("resourceExhausted")`there are ${"most"} calls already`,
  "grpc.message": ending("resourceExhausted")`a message is longer than ${"most"} bytes`,
  "grpc.first-message": ending("resourceExhausted")`the first message is longer than ${"most"} bytes`,
  "grpc.first-message-time": ending("deadlineExceeded")`there was no valid request within ${"seconds"} s`,
  "grpc.unfinished": ending("resourceExhausted")`too much is unfinished, this for the longest`,
  "grpc.closing": ending("unavailable")`the control plane is shutting down`,
  /** Anything unexpected is a bug: its cause is logged, never sent. */
  "grpc.internal": ending("internal")`the message could not be handled`,

  "xds.old-api": ending(
    "unimplemented",
  )`this control plane serves xDS v3 only, and this Envoy asks for v2: it is too old;
    use the kuma-dp and the envoy that come with kuma-cp`,
  "xds.message": ending("invalidArgument")`the message is not a ${"expected"}`,
  "xds.no-type": ending("invalidArgument")`type_url is required on an aggregated stream`,
  "xds.node-id": ending("invalidArgument")`the first ${"message"} must carry a node id of the form <mesh>.<name>, not
    "${"id"}"`,
  "xds.names": ending("resourceExhausted")`the stream asks for more than ${"most"} names of ${"type"}`,
  "xds.name-length": ending("resourceExhausted")`a name has ${"length"} characters, more than ${"most"}`,
  "xds.text-length": ending("resourceExhausted")`${"what"} has ${"length"} bytes, more than ${"most"}`,
  "xds.count": ending("resourceExhausted")`the ${"message"} has more than ${"most"} ${"what"}`,
  "xds.placements": ending(
    "resourceExhausted",
  )`streams of ${"proxy"} that are open name ${"most"} different places for its
    token, its logs and its control plane (dataplaneTokenPath, logDirectories, controlPlaneHost and bootstrapRevision of
    the node's metadata), and more are not taken at a time`,
  "sds.type": ending("invalidArgument")`only secrets are served here`,
  "sds.secret": ending("notFound")`secret "${"name"}" is not supported; known are ${"known"}`,
  "sds.mesh": ending("notFound")`there is no Mesh "${"mesh"}"`,
  "sds.dataplane": ending("notFound")`there is no Dataplane "${"name"}" with a service in mesh "${"mesh"}"`,
  "sds.early": ending("resourceExhausted")`more than ${"most"} requests came before the first one was answered`,
  /** The reason is logged, never sent: the peer is not authenticated. */
  "sds.unauthenticated": ending("unauthenticated")`the dataplane could not be authenticated`,
} as const;
