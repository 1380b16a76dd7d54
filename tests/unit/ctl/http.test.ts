import * as assert from "uvu/assert";
import { below, parseAddress, send } from "../../../src/ctl/http.js";
import { suite } from "../../support/suite.js";
import { bodyOf, startServer } from "./stage.js";

const test = suite("kumactl's HTTP client");

test("a server that never answers takes no longer than the timeout", async () => {
  const silent = await startServer(() => undefined);
  await send({ method: "GET", url: new URL(silent.url), timeout: 50 }).then(
    () => assert.unreachable(),
    (error: Error) => assert.is(error.message, "no answer within 0.05s"),
  );
  await silent.close();
});

test("an answer that stops half-way is an error", async () => {
  const cut = await startServer((request, response) => {
    response.writeHead(200, { "content-length": "100" });
    response.write("half", () => request.socket.destroy());
  });
  await send({ method: "GET", url: new URL(cut.url), timeout: 5000 }).then(
    () => assert.unreachable(),
    (error: Error) => assert.is(error.name, "UserError"),
  );
  await cut.close();
});

test("bodies and answers are UTF-8 in both directions, however they are cut", async () => {
  const text = "é→😀".repeat(20_000);
  const echo = await startServer(async (request, response) => {
    assert.is(request.headers["content-type"], "application/json");
    response.end(await bodyOf(request.setEncoding("utf8")));
  });
  const answer = await send({ method: "PUT", url: new URL(echo.url), body: text, timeout: 5000 });
  assert.is(answer.body, text);
  await echo.close();
});

test("only absolute http and https URLs are addresses, and their path is kept", () => {
  for (const text of ["", "localhost", "localhost:5681", "/x", "ftp://a", "file:///etc/passwd", "http://"]) {
    assert.is(parseAddress(text), undefined, text);
  }
  assert.is(below(new URL("http://a:1"), "meshes").href, "http://a:1/meshes");
  assert.is(below(new URL("https://a/kuma"), "meshes/m?x=1").href, "https://a/kuma/meshes/m?x=1");
});

test.run();
