// The floor of bench:identity's storm: bare grpc-js servers that answer every proxy the same stored bytes, over the same TLS.
// node storm-floor.mjs FILE, which holds {cert, key, paths: {delta, secrets}, answers: [{mark, bytes in base64}]}.
import { readFileSync } from "node:fs";
import { Server, ServerCredentials } from "@grpc/grpc-js";

const { cert, key, paths, answers } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const stored = answers.map(({ mark, bytes }) => ({ mark, bytes: Buffer.from(bytes, "base64") }));

const same = (bytes) => bytes;
const both = { requestStream: true, responseStream: true };
const asBytes = {
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
};

/** The first request with an answer's mark gets it; the next one acknowledges. */
function stream(call) {
  const waiting = new Set(stored);
  call.on("data", (request) => {
    for (const answer of waiting) {
      if (!request.includes(answer.mark)) continue;
      waiting.delete(answer);
      call.write(answer.bytes);
      return;
    }
  });
  call.on("end", () => call.end());
}

function listen(path, credentials) {
  const server = new Server();
  server.addService({ stream: { path, ...both, ...asBytes } }, { stream });
  return new Promise((resolve, reject) => {
    server.bindAsync("localhost:0", credentials, (error, port) => (error === null ? resolve(port) : reject(error)));
  });
}

const pair = { cert_chain: Buffer.from(cert), private_key: Buffer.from(key) };
const xds = await listen(paths.delta, ServerCredentials.createInsecure());
const sds = await listen(paths.secrets, ServerCredentials.createSsl(null, [pair], false));
process.stdout.write(JSON.stringify({ xds, sds }));
