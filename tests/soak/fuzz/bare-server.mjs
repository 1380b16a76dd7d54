// What the runtime alone needs: servers without a program behind them, which read what they are sent and answer a line.
// node bare-server.mjs CERT KEY; prints {xds, sds, http} once they listen.
import { readFileSync } from "node:fs";
import http from "node:http";
import http2 from "node:http2";

const [cert, key] = process.argv.slice(2).map((file) => readFileSync(file));

function answer(stream) {
  stream.on("error", () => {});
  stream.on("data", () => {});
  stream.on("end", () => {
    if (!stream.destroyed && !stream.closed) stream.end();
  });
  if (!stream.destroyed && !stream.closed) stream.respond({ ":status": 200, "content-type": "application/grpc" });
}

const web = http.createServer((request, response) => {
  request.resume();
  request.on("end", () => response.end("OK\n"));
});
// As kuma-cp has them, so that a flood meets the same runtime.
const settings = { settings: { maxConcurrentStreams: 100, headerTableSize: 0 } };
const servers = {
  xds: http2.createServer(settings),
  sds: http2.createSecureServer({ ...settings, cert, key }),
  http: web,
};
for (const server of [servers.xds, servers.sds]) {
  server.on("stream", answer);
  server.on("session", (session) => session.on("error", () => session.destroy()));
  server.on("sessionError", () => {});
}
web.on("clientError", (_error, socket) => socket.destroy());
web.on("connect", (_request, socket) => socket.destroy());
const listening = Object.entries(servers).map(
  ([name, server]) =>
    new Promise((resolve) => server.listen(0, "127.0.0.1", 4096, () => resolve([name, server.address().port]))),
);
process.stdout.write(`${JSON.stringify(Object.fromEntries(await Promise.all(listening)))}\n`);
