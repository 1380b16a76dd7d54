import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import * as assert from "uvu/assert";
import { followStatus } from "../../../src/dp/status.js";
import { askStatus, type DataplaneStatus, reportListeners } from "../../../src/dp/status-client.js";
import { eventually } from "../../support/eventually.js";
import { suite } from "../../support/suite.js";

const test = suite("kuma-dp polls the control plane for problems");

const dataplane = { mesh: "m", name: "a", tokenFile: "/tmp/t" };
const well: DataplaneStatus = { known: true, refusal: undefined };
const refused = (reason: string): DataplaneStatus => ({ known: true, refusal: { time: "noon", reason } });

test("each problem is reported once, and so is its end; a control plane that is unavailable or has no status changes nothing", async () => {
  const answers: (DataplaneStatus | undefined | Error)[] = [
    well,
    { known: false, refusal: undefined },
    new Error("away"),
    undefined,
    { known: false, refusal: undefined },
    well,
    refused("its signature is wrong"),
    refused("its signature is wrong"),
    refused("it expired"),
    well,
  ];
  const said: string[] = [];
  const stop = new AbortController();
  const following = followStatus({
    ask: async () => {
      const answer = answers.shift();
      if (answers.length === 0) stop.abort();
      if (answer instanceof Error) throw answer;
      return answer;
    },
    interval: 1,
    dataplane,
    onProblem: (sentence) => void said.push(sentence),
    recovered: () => void said.push("recovered"),
    failed: (error) => void said.push(`failed: ${error instanceof Error ? error.message : error}`),
    signal: stop.signal,
  });
  await following;
  const expected = [
    /^the control plane has no Dataplane "a" in mesh "m" any more: .*Apply the Dataplane again/,
    /^failed: away$/,
    /^recovered$/,
    /^the control plane refused this dataplane a certificate at noon: its signature is wrong\. .*--name=a --mesh=m.*\/tmp\/t/,
    /: it expired\. /,
    /^recovered$/,
  ];
  assert.is(said.length, expected.length, said.join("\n"));
  for (const [index, pattern] of expected.entries()) assert.match(said[index] ?? "", pattern);
});

test("it ends at once with the run, even during a request", async () => {
  const stop = new AbortController();
  let asked = false;
  const following = followStatus({
    ask: () => {
      asked = true;
      return new Promise((_, reject) => stop.signal.addEventListener("abort", () => reject(stop.signal.reason)));
    },
    interval: 1,
    dataplane,
    onProblem: () => assert.unreachable(),
    recovered: () => assert.unreachable(),
    failed: () => assert.unreachable(),
    signal: stop.signal,
  });
  await eventually("a question", () => asked);
  stop.abort();
  await following;
});

test("the status comes from the bootstrap server, directly or through the catalogue; unexpected responses are ignored", async () => {
  const replies = new Map<string, string>();
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    const body = replies.get((request.url ?? "").split("?", 1)[0] ?? "");
    response.writeHead(body === undefined ? 404 : 200).end(body ?? "{}");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const signal = new AbortController().signal;
  const ask = (kind: "bootstrap-server" | "api-server") =>
    askStatus({ kind, url }, { mesh: "m", name: "a b&c" }, signal);
  try {
    replies.set("/catalog", JSON.stringify({ apis: { bootstrap: { url } } }));
    assert.is(await ask("bootstrap-server"), undefined, "an older control plane has no such path");
    replies.set("/dataplane-status", '{"known": true}');
    asked.length = 0;
    assert.equal(await ask("bootstrap-server"), well);
    assert.equal(asked, ["/dataplane-status?mesh=m&name=a+b%26c"]);
    assert.equal(await ask("api-server"), well);
    const reason = `\u001b[2J${"x".repeat(5000)}`;
    replies.set("/dataplane-status", JSON.stringify({ known: true, refusal: { time: 5, reason } }));
    const { refusal } = (await ask("bootstrap-server")) ?? {};
    assert.is(refusal?.time, "5");
    assert.not.match(refusal?.reason ?? "", "\u001b");
    assert.ok((refusal?.reason.length ?? 0) < 1100);
    for (const strange of ["", "[]", "{}", '{"known": "yes"}', "node: {}"]) {
      replies.set("/dataplane-status", strange);
      assert.is(await ask("bootstrap-server"), undefined, strange);
    }
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

test("listeners are reported to the same server; older control planes accept none, and unexpected responses are ignored", async () => {
  let answer: readonly [status: number, body: string] = [200, "{}"];
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      asked.push(`${request.method} ${request.url} ${Buffer.concat(chunks)}`);
      const catalogue = request.url === "/catalog";
      const [status, body] = catalogue ? ([200, JSON.stringify({ apis: { bootstrap: { url } } })] as const) : answer;
      response.writeHead(status).end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const report = (kind: "bootstrap-server" | "api-server" = "bootstrap-server") =>
    reportListeners({ kind, url }, { mesh: "m", name: "a" }, ["x"], new AbortController().signal);
  const sent = 'POST /dataplane-status {"mesh":"m","name":"a","listeners":["x"]}';
  try {
    answer = [200, JSON.stringify({ connected: true, missing: ["x", "\u001b[2J"], pending: true })];
    const verdict = { connected: true, missing: ["x", "\\u001b[2J"], pending: true };
    assert.equal(await report(), verdict);
    assert.equal(asked.splice(0), [sent]);
    assert.equal(await report("api-server"), verdict);
    assert.equal(asked.splice(0), ["GET /catalog ", sent]);
    answer = [200, '{"connected": false}'];
    assert.equal(await report(), { connected: false, missing: [], pending: false });
    answer = [200, JSON.stringify({ connected: true, missing: Array(500).fill("x".repeat(5000)) })];
    assert.ok(JSON.stringify(await report()).length < 30_000);
    for (const old of [404, 405]) {
      answer = [old, ""];
      assert.is(await report(), undefined, String(old));
    }
    for (const strange of ["", "[]", "{}", '{"connected": "yes"}', "node: {}"]) {
      answer = [200, strange];
      assert.is(await report(), undefined, strange);
    }
    for (const refused of [400, 403, 413, 500]) {
      answer = [refused, "{}"];
      const error = await report().then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      assert.match(String(error), String(refused));
    }
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

test.run();
