// The floor of bench:api: a bare node:http server that answers what kuma-cp answered, and reads what it is sent.
import { readFileSync } from "node:fs";
import http from "node:http";

/** @type {Record<string, {status: number, headers: Record<string, string>, body: string}>} by "METHOD path" */
const recorded = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8"));
const answers = new Map(
  Object.entries(recorded).map(([request, { body, ...head }]) => [request, { ...head, body: Buffer.from(body) }]),
);

const server = http.createServer((request, response) => {
  const answer = answers.get(`${request.method} ${request.url}`);
  request.resume();
  request.on("end", () => {
    response.writeHead(answer.status, answer.headers);
    response.end(answer.body);
  });
});
server.listen(0, "127.0.0.1", () => process.stdout.write(`${server.address().port}\n`));
