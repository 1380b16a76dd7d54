import * as assert from "uvu/assert";
import { createLogger, type LogFormat, type LogLevel, parseLogFormat, parseLogLevel } from "../../../src/lib/logger.js";
import { suite } from "../../support/suite.js";

const test = suite("logger");

function capture(level: LogLevel, format: LogFormat = "text") {
  const lines: string[] = [];
  let time = Date.UTC(2019, 9, 24, 14, 4, 56, 820);
  const logger = createLogger({
    name: "kuma-cp",
    level,
    format,
    write: (line) => lines.push(line),
    now: () => new Date(time),
  });
  return {
    logger,
    lines,
    later: (milliseconds: number) => {
      time += milliseconds;
    },
  };
}

test("a line has time, level, name, message and values, with tabs between", () => {
  const { logger, lines } = capture("info");
  logger.child("run").info("starting", { port: 5681 });
  const columns = lines[0]?.split("\t") ?? [];
  assert.match(columns[0] ?? "", /^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.820(Z|[+-]\d{4})$/);
  assert.equal(columns.slice(1), ["INFO", "kuma-cp.run", "starting", '{"port":5681}\n']);
});

test("a warning is logged as WARN wherever information is", () => {
  const off = capture("off");
  off.logger.warn("x");
  assert.equal(off.lines, []);
  const text = capture("info");
  text.logger.warn("beware", { port: 5681 });
  assert.equal(text.lines[0]?.split("\t").slice(1), ["WARN", "kuma-cp", "beware", '{"port":5681}\n']);
  const json = capture("info", "json");
  json.logger.warn("beware");
  assert.is(JSON.parse(json.lines[0] ?? "").level, "WARN");
});

test("off is silent, info leaves debug out", () => {
  const off = capture("off");
  off.logger.error("x");
  assert.equal(off.lines, []);
  const info = capture("info");
  info.logger.debug("x");
  info.logger.error("y");
  assert.is(info.lines.length, 1);
});

test("errors are shown by their message, at debug by their stack", () => {
  const info = capture("info");
  info.logger.error("failed", { error: new Error("boom") });
  assert.ok(info.lines[0]?.endsWith('{"error":"boom"}\n'));
  const debug = capture("debug");
  debug.logger.error("failed", { error: new Error("boom") });
  assert.ok(debug.lines[0]?.includes("logger.test.ts"));
});

test("secrets are masked at any depth, and paths to secrets are not", () => {
  const { logger, lines } = capture("info", "json");
  logger.info("config", {
    store: { password: "p4ss", dbName: "kuma" },
    token: "t0k",
    tokenPath: "/t",
    clientKey: "k3y",
  });
  const line = lines[0] ?? "";
  for (const secret of ["p4ss", "t0k", "k3y"]) assert.not.ok(line.includes(secret), secret);
  assert.ok(line.includes('"tokenPath":"/t"') && line.includes('"dbName":"kuma"'));
});

test("JSON lines keep their own fields whatever the values are called", () => {
  const { logger, lines } = capture("info", "json");
  logger.info("hello", { level: "x", n: 1n });
  const line = JSON.parse(lines[0] ?? "");
  assert.is(line.level, "INFO");
  assert.is(line.logger, "kuma-cp");
  assert.is(line.msg, "hello");
  assert.is(line.n, "1");
});

test("a message can't forge a second line", () => {
  const { logger, lines } = capture("info");
  logger.info('a\nb\t"c" \\');
  assert.ok(lines[0]?.endsWith('\ta\\nb\\t"c" \\\n'));
});

test("identical messages are sampled: 100 a second, then every 100th", () => {
  const { logger, lines, later } = capture("info");
  for (let i = 0; i < 350; i++) logger.info("again");
  logger.info("other");
  assert.is(lines.length, 103);
  later(1000);
  logger.info("again");
  assert.is(lines.length, 104);
  const debug = capture("debug");
  for (let i = 0; i < 350; i++) debug.logger.info("again");
  assert.is(debug.lines.length, 350);
});

test("an unknown level is rejected by name", () => {
  assert.is(parseLogLevel("debug"), "debug");
  assert.throws(() => parseLogLevel("loud"), /^unknown log level "loud"$/);
});

test("an unknown format is rejected with the known ones", () => {
  assert.is(parseLogFormat("json"), "json");
  assert.throws(() => parseLogFormat("xml"), /^unknown log format "xml"; known ones are text and json$/);
});

test("control characters are escaped in messages and values, in both formats", () => {
  for (const format of ["text", "json"] as const) {
    const lines: string[] = [];
    const logger = createLogger({ name: "n", level: "info", format, write: (line) => void lines.push(line) });
    logger.info("m\u001b\u009b\u202e", { reason: "r\u001b\u009b\u2028\ufeff", "k\u009b": "v" });
    assert.not.match(lines.join(""), /(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
    assert.ok(lines[0]?.includes("m\\u001b\\u009b\\u202e"));
    assert.ok(lines[0]?.includes('"r\\u001b\\u009b\\u2028\\ufeff"'));
  }
});

test.run();
