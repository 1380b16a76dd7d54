// The floor by node:http2 alone: gRPC's five bytes before each message, and nothing else of it.
import { createSecureServer, createServer } from "node:http2";

const headers = { ":status": 200, "content-type": "application/grpc" };

/** The message in its frame: zero for "not compressed", and its length. */
export function messageOf(bytes) {
  const frame = Buffer.allocUnsafe(5 + bytes.length);
  frame[0] = 0;
  frame.writeUInt32BE(bytes.length, 1);
  frame.set(bytes, 5);
  return frame;
}

/** Gives whole messages on, without their frames. */
function unframed(request) {
  let rest = Buffer.alloc(0);
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (rest.length >= 5) {
      const end = 5 + rest.readUInt32BE(1);
      if (rest.length < end) return;
      request(rest.subarray(5, end));
      rest = rest.subarray(end);
    }
  };
}

/** Serves a method; `serve` gets how to write to a stream, and gives what to do with its requests and its end. */
export function listen(path, serve, port, pair) {
  const server = pair === undefined ? createServer() : createSecureServer(pair);
  server.on("stream", (stream, { ":path": asked }) => {
    if (asked !== path) throw new Error(`a stream for ${asked}`);
    stream.respond(headers, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    const { request, end } = serve((frame) => stream.write(frame));
    stream.on("data", unframed(request));
    stream.on("end", () => stream.end());
    stream.on("error", () => {});
    stream.on("close", end);
  });
  server.on("sessionError", () => {});
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "localhost", 4096, () => resolve(server.address().port));
  });
}
