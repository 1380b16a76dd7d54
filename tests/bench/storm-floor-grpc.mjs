// The floor by grpc-js, as it comes.
import { Server, ServerCredentials } from "@grpc/grpc-js";

const same = (bytes) => bytes;
const method = {
  requestStream: true,
  responseStream: true,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
};

/** What `write` takes for a message. */
export const messageOf = (bytes) => bytes;

/** Serves a method; `serve` gets how to write to a stream, and gives what to do with its requests and its end. */
export function listen(path, serve, port, pair) {
  const server = new Server();
  server.addService(
    { stream: { path, ...method } },
    {
      stream(call) {
        const { request, end } = serve((bytes) => call.write(bytes));
        call.on("data", request);
        call.on("end", () => call.end());
        call.on("error", () => {});
        call.on("close", end);
      },
    },
  );
  const credentials =
    pair === undefined
      ? ServerCredentials.createInsecure()
      : ServerCredentials.createSsl(
          null,
          [{ cert_chain: Buffer.from(pair.cert), private_key: Buffer.from(pair.key) }],
          false,
        );
  return new Promise((resolve, reject) => {
    server.bindAsync(`localhost:${port}`, credentials, (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
}
