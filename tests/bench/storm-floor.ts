// The floor of a storm: bare grpc-js servers that answer every proxy the same stored bytes, over the same kind of TLS.
import { readFileSync } from "node:fs";
import { Server, ServerCredentials, type ServerDuplexStream, type ServiceDefinition } from "@grpc/grpc-js";
import { typeUrls } from "../../src/envoy/resource.js";
import { deltaPath, secretPath, type Wanted, wanted } from "./storm-proxy.js";

/** What a proxy was answered by the control plane, in base64. */
export interface Recording {
  readonly cert: string;
  readonly key: string;
  readonly answers: Readonly<Record<Wanted, string>>;
}

const { cert, key, answers } = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as Recording;

/** What stands in a request for one of the answers and in no other. */
const mark = (what: Wanted) => (what === "cds" || what === "eds" || what === "lds" ? typeUrls[what] : what);
const stored = wanted.map((what) => ({ mark: mark(what), bytes: Buffer.from(answers[what], "base64") }));

const same = (bytes: Buffer) => bytes;
const definition = (path: string): ServiceDefinition => ({
  stream: {
    path,
    requestStream: true,
    responseStream: true,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  },
});

/** The first request for each thing is answered; the next ones acknowledge. */
function stream(call: ServerDuplexStream<Buffer, Buffer>): void {
  const waiting = new Set(stored);
  call.on("data", (request: Buffer) => {
    for (const answer of waiting) {
      if (!request.includes(answer.mark)) continue;
      waiting.delete(answer);
      call.write(answer.bytes);
      return;
    }
  });
  call.on("end", () => call.end());
}

function listen(path: string, credentials: ServerCredentials): Promise<number> {
  const server = new Server();
  server.addService(definition(path), { stream });
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", credentials, (error, port) => (error === null ? resolve(port) : reject(error)));
  });
}

const pair = { cert_chain: Buffer.from(cert), private_key: Buffer.from(key) };
const xds = await listen(deltaPath, ServerCredentials.createInsecure());
const sds = await listen(secretPath, ServerCredentials.createSsl(null, [pair], false));
process.stdout.write(`${JSON.stringify({ xds, sds })}\n`);
process.once("SIGTERM", () => process.exit());
