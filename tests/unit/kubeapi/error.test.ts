import * as assert from "uvu/assert";
import { errorOfAnswer } from "../../../src/kubeapi/error.js";
import { suite } from "../../support/suite.js";

const test = suite("a refusal of the API server");

test("has the server's reason, words and causes", () => {
  const causes = [{ reason: "FieldValueInvalid", field: "spec.rules", message: "must have at least one element" }];
  const status = { kind: "Status", code: 422, reason: "Invalid", message: "denied the request", details: { causes } };
  const error = errorOfAnswer(422, JSON.stringify(status), "POST /x");
  assert.equal([error.status, error.reason, error.message], [422, "Invalid", "POST /x: denied the request"]);
  assert.equal(error.causes, causes);
  assert.is(error.temporary, false);
});

test("asks to wait by its header, or by its details", () => {
  assert.is(errorOfAnswer(429, "", "GET /x", "3").retryAfterMs, 3_000);
  const status = { kind: "Status", code: 500, message: "timeout", details: { retryAfterSeconds: 2 } };
  assert.is(errorOfAnswer(500, JSON.stringify(status), "GET /x").retryAfterMs, 2_000);
  for (const wrong of ["soon", "-1", undefined])
    assert.is(errorOfAnswer(503, "", "GET /x", wrong).retryAfterMs, undefined);
});

test("that a proxy in between wrote is shown in part", () => {
  const error = errorOfAnswer(502, `<html>${"x".repeat(10_000)}`, "GET /x");
  assert.is(error.status, 502);
  assert.ok(error.message.startsWith("GET /x: status 502: <html>x") && error.message.length < 600);
  assert.is(error.temporary, true);
});

test("with fields of wrong types is no bug", () => {
  for (const odd of [{ details: [] }, { details: { causes: [1, null, {}] } }, { code: "x", message: 5, reason: {} }]) {
    const error = errorOfAnswer(400, JSON.stringify({ kind: "Status", ...odd }), "GET /x");
    assert.is(error.status, 400);
  }
});

test.run();
