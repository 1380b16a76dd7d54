// The floor under every figure about streams: bare servers that answer each proxy the same stored bytes, over the same
// TLS, and push stored bytes when they are told to. node storm-floor.mjs FILE, which holds
//   engine: "grpc" (grpc-js, the default) or "http2" (node:http2 without a library),
//   cert, key: what the secret server presents; paths: {configuration, secrets},
//   answers: [{mark, bytes in base64}]: the first request of a stream with the mark gets the bytes,
//   issue: text; an answer with that mark costs a key pair and a signature, as issuing a certificate does,
//   pushes: {NAME: {to: [node ids], every: requests from one batch to the next, batches: [[base64]]}},
//   ports: {xds, sds}; any free ones when left out.
// PUT /NAME pushes the messages of NAME's next batch. Prints {xds, sds, api} once it listens.
import { generateKeyPairSync, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const told = JSON.parse(readFileSync(process.argv[2], "utf8"));
const { engine = "grpc", cert, key, paths, answers, issue, pushes = {}, ports = {} } = told;
const { listen, messageOf } = await import(`./storm-floor-${engine}.mjs`);

const decoded = (bytes) => messageOf(Buffer.from(bytes, "base64"));
const stored = answers.map(({ mark, bytes }) => ({ mark, bytes: decoded(bytes) }));

/** Open configuration streams by node id. */
const streams = new Map();

function costOfCertificate() {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  publicKey.export({ type: "spki", format: "pem" });
  privateKey.export({ type: "pkcs8", format: "pem" });
  // As many bytes as a certificate of one service has.
  sign("sha256", Buffer.alloc(460), signingKey);
}
const { privateKey: signingKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });

/** The first request with an answer's mark gets it; the next one acknowledges. */
function answering(write) {
  const waiting = new Set(stored);
  return (bytes) => {
    for (const answer of waiting) {
      if (!bytes.includes(answer.mark)) continue;
      waiting.delete(answer);
      if (answer.mark === issue) costOfCertificate();
      write(answer.bytes);
      return;
    }
  };
}

function serveConfiguration(write) {
  const answer = answering(write);
  let id;
  return {
    request(bytes) {
      if (id === undefined) {
        id = /default\.[\w-]+/.exec(bytes.latin1Slice())?.[0];
        streams.set(id, write);
      }
      answer(bytes);
    },
    end() {
      if (streams.get(id) === write) streams.delete(id);
    },
  };
}

const serveSecrets = (write) => ({ request: answering(write), end() {} });

const due = new Map(
  Object.entries(pushes).map(([name, { to, every, batches }]) => [
    name,
    { to, every, batches: batches.map((batch) => batch.map(decoded)), requests: 0, next: 0 },
  ]),
);

function push(name) {
  const one = due.get(name);
  one.requests += 1;
  if (one.requests % one.every !== 0) return;
  const batch = one.batches[one.next % one.batches.length];
  one.next += 1;
  for (const message of batch) for (const id of one.to) streams.get(id)?.(message);
}

const api = createServer((request, response) => {
  request.on("data", () => {});
  request.on("end", () => {
    response.end();
    push(request.url.slice(1));
  });
});

const pair = cert === undefined ? undefined : { cert, key };
const xds = await listen(paths.configuration, serveConfiguration, ports.xds ?? 0, undefined);
const sds = pair === undefined ? 0 : await listen(paths.secrets, serveSecrets, ports.sds ?? 0, pair);
await new Promise((resolve) => api.listen(0, "127.0.0.1", resolve));
process.stdout.write(JSON.stringify({ xds, sds, api: api.address().port }));
