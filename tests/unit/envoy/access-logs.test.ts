import { create, fromBinary } from "@bufbuild/protobuf";
import * as assert from "uvu/assert";
import { FileAccessLogSchema } from "../../../proto-gen/es/envoy/extensions/access_loggers/file/v3/file_pb.js";
import { accessLog, defaultLogFormat, envoyLogFormat } from "../../../src/envoy/access-logs.js";
import type { LoggingBackend } from "../../../src/resources/mesh.js";
import { suite } from "../../support/suite.js";

const test = suite("access logs");

const traffic = { sourceAddress: "10.0.0.1", sourceService: "backend", destinationService: "redis" };

const formats: readonly [what: string, format: string, expected: string | undefined][] = [
  [
    "the default",
    "",
    "[%START_TIME%] 10.0.0.1:0(backend)->%UPSTREAM_HOST%(redis) took %DURATION%ms, sent %BYTES_SENT% bytes, received: %BYTES_RECEIVED% bytes\n",
  ],
  ["a line break is added", "%DURATION%", "%DURATION%\n"],
  ["and not doubled", "%DURATION%\n", "%DURATION%\n"],
  ["several lines stay as they are", "a\n\nb\n\n", "a\n\nb\n\n"],
  [
    "all Kuma operators",
    "%KUMA_SOURCE_ADDRESS% %KUMA_SOURCE_ADDRESS_WITHOUT_PORT% %KUMA_SOURCE_SERVICE% %KUMA_DESTINATION_SERVICE%",
    "10.0.0.1:0 10.0.0.1 backend redis\n",
  ],
  [
    "the product documentation's JSON",
    '{ "destination": "%KUMA_DESTINATION_SERVICE%", "destinationAddress": "%UPSTREAM_LOCAL_ADDRESS%", "bytesSent": "%BYTES_SENT%"}',
    '{ "destination": "redis", "destinationAddress": "%UPSTREAM_LOCAL_ADDRESS%", "bytesSent": "%BYTES_SENT%"}\n',
  ],
  [
    "literal percent signs and arguments",
    "100%% %START_TIME(%s.%3f)% %REQ(X?Y):5%",
    "100%% %START_TIME(%s.%3f)% %REQ(X?Y):5%\n",
  ],
  ["an operator of a newer Envoy", "%OF_TOMORROW(x)%", "%OF_TOMORROW(x)%\n"],
  ["nothing but a line break", "\n", "\n"],
  ["a format that Envoy would reject", "%DURATION", undefined],
  ["an unknown Kuma operator", "%KUMA_DOWNSTREAM_CLUSTER%", undefined],
];

for (const [what, format, expected] of formats) {
  test(`format: ${what}`, () => assert.is(envoyLogFormat(format, traffic), expected));
}

test("a percent sign in a substituted value is kept, and never becomes an operator", () => {
  const odd = { ...traffic, sourceService: "100%", destinationService: "%DURATION%" };
  const format = envoyLogFormat("%KUMA_SOURCE_SERVICE%->%KUMA_DESTINATION_SERVICE%%BYTES_SENT%", odd);
  assert.is(format, "100%%->%%DURATION%%%BYTES_SENT%\n");
});

test("a substituted value is not parsed again", () => {
  const odd = { ...traffic, sourceService: "%KUMA_DESTINATION_SERVICE%" };
  assert.is(envoyLogFormat("%KUMA_SOURCE_SERVICE%", odd), "%%KUMA_DESTINATION_SERVICE%%\n");
});

/** The configuration of Envoy's file logger. */
function file(backend: LoggingBackend) {
  const log = accessLog(backend, traffic);
  if (log === undefined) return undefined;
  assert.is(log.name, "envoy.access_loggers.file");
  assert.is(log.configType.case, "typedConfig");
  if (log.configType.case !== "typedConfig") return undefined;
  assert.is(log.configType.value.typeUrl, "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog");
  return fromBinary(FileAccessLogSchema, log.configType.value.value);
}

const written = (path: string, inlineString: string) =>
  create(FileAccessLogSchema, {
    path,
    accessLogFormat: {
      case: "logFormat",
      value: {
        format: { case: "textFormatSource", value: { specifier: { case: "inlineString", value: inlineString } } },
      },
    },
  });

test("a file backend becomes a file logger with its path and format", () => {
  assert.equal(
    file({ name: "f", format: "%DURATION%", file: { path: "/tmp/a.log" } }),
    written("/tmp/a.log", "%DURATION%\n"),
  );
  const text = defaultLogFormat
    .replace(/%KUMA_SOURCE_ADDRESS%/, "10.0.0.1:0")
    .replace(/%KUMA_SOURCE_SERVICE%/, "backend");
  assert.equal(
    file({ name: "f", file: { path: "a.log" } }),
    written("a.log", text.replace(/%KUMA_DESTINATION_SERVICE%/, "redis")),
  );
});

test("a TCP backend becomes the FIFO, with the collector's address before each line", () => {
  const tcp = { address: "logstash.internal:9000" };
  assert.equal(
    file({ name: "t", format: "a %DURATION%\n\nb", tcp }),
    written(
      "access-logs.fifo",
      "logstash.internal:9000;a %DURATION%\nlogstash.internal:9000;\nlogstash.internal:9000;b\n",
    ),
  );
});

test("an unusable backend is left out", () => {
  assert.is(file({ name: "nothing" }), undefined);
  assert.is(file({ name: "file without a path", file: {} }), undefined);
  assert.is(file({ name: "collector without an address", tcp: {} }), undefined);
  assert.is(file({ name: "bad format", format: "%", file: { path: "a" } }), undefined);
});

test.run();
