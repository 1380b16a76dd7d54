import * as assert from "uvu/assert";
import { logFormatProblem, parseLogFormat, unknownOperator } from "../../../src/resources/log-format.js";
import { suite } from "../../support/suite.js";

const test = suite("log format");

const good: readonly string[] = [
  "",
  "no operator at all\n",
  "[%START_TIME%] %KUMA_SOURCE_ADDRESS%(%KUMA_SOURCE_SERVICE%)->%UPSTREAM_HOST%(%KUMA_DESTINATION_SERVICE%) took %DURATION%ms, sent %BYTES_SENT% bytes, received: %BYTES_RECEIVED% bytes\n",
  "%KUMA_SOURCE_ADDRESS_WITHOUT_PORT%",
  "%START_TIME(%Y/%m/%dT%H:%M:%S%z)%",
  "%REQ(X-REQUEST-ID?Y):10%",
  "%REQ(:path?)% %RESP(?%)% %TRAILER(?)%",
  "%DYNAMIC_METADATA(com.test.my_filter:test_key):9%",
  "100%% of %DURATION%%%",
  "%%DURATION%%",
  "%AN_OPERATOR_OF_TOMORROW(with arguments):3%",
  "%DOWNSTREAM_PEER_FINGERPRINT_256%",
];

for (const format of good)
  test(`fine: ${JSON.stringify(format.slice(0, 60))}`, () => assert.is(logFormatProblem(format), undefined));

const bad: readonly [format: string, problem: string][] = [
  ["%NOPE(%", 'malformed operator: "%NOPE(" has no closing ")" (at character 1)'],
  [
    "100% sure",
    'malformed operator: "%" has to be followed by a name in upper case, or by another "%" for a percent sign (at character 4)',
  ],
  ["a %DURATION", 'malformed operator: "%DURATION" has no closing "%" (at character 3)'],
  [
    "%",
    'malformed operator: "%" has to be followed by a name in upper case, or by another "%" for a percent sign (at character 1)',
  ],
  [
    "%%%",
    'malformed operator: "%" has to be followed by a name in upper case, or by another "%" for a percent sign (at character 3)',
  ],
  [
    "%duration%",
    'malformed operator: "%" has to be followed by a name in upper case, or by another "%" for a percent sign (at character 1)',
  ],
  [
    "%DURATION MS%",
    'malformed operator: "%DURATION" has to be followed by "%", "(" or ":", not by " " (at character 1)',
  ],
  [
    "%REQ(a)x%",
    'malformed operator: the arguments of "%REQ" have to be followed by "%" or by ":LENGTH%" (at character 1)',
  ],
  [
    "%REQ(a):x%",
    'malformed operator: the arguments of "%REQ" have to be followed by "%" or by ":LENGTH%" (at character 1)',
  ],
  ["%REQ:%", 'malformed operator: "%REQ:" has to be followed by a length and "%" (at character 1)'],
  ["%REQ%", 'malformed operator: "%REQ%" needs arguments, as in "%REQ(…)%" (at character 1)'],
  ["%REQ()%", 'malformed operator: "%REQ%" needs arguments, as in "%REQ(…)%" (at character 1)'],
  ["%REQ(A?B?C)%", 'malformed operator: "%REQ%" takes one header and one alternative at most (at character 1)'],
  ["-%RESP(a b)%", 'malformed operator: "a b" in "%RESP%" is no name of a header (at character 2)'],
  ["%TRAILER(a?:)%", 'malformed operator: ":" in "%TRAILER%" is no name of a header (at character 1)'],
  [
    "%REQ(%%DYNAMIC_METADATA(a:b)%",
    'malformed operator: "%%DYNAMIC_METADATA(a:b" in "%REQ%" is no name of a header (at character 1)',
  ],
  ["%START_TIME(%s):3%", 'malformed operator: "%START_TIME%" takes no length (at character 1)'],
  [
    "%START_TIME(%Y\n%m)%",
    'malformed operator: the arguments of "%START_TIME" can\'t contain a line break (at character 1)',
  ],
  ["%DURATION(x)%", 'malformed operator: "%DURATION%" takes no arguments (at character 1)'],
  ["%DURATION:3%", 'malformed operator: "%DURATION%" takes no arguments (at character 1)'],
  ["%KUMA_SOURCE_SERVICE():3%", 'malformed operator: "%KUMA_SOURCE_SERVICE%" takes no arguments (at character 1)'],
  [
    "%KUMA_SOURCE_SERVIC%",
    'unknown operator "%KUMA_SOURCE_SERVIC%"; did you mean "%KUMA_SOURCE_SERVICE%"? (at character 1)',
  ],
  [
    "ok %DURATION% %KUMA_DOWNSTREAM_CLUSTER%",
    'unknown operator "%KUMA_DOWNSTREAM_CLUSTER%"; known are: %KUMA_SOURCE_ADDRESS%, %KUMA_SOURCE_ADDRESS_WITHOUT_PORT%, %KUMA_SOURCE_SERVICE%, %KUMA_DESTINATION_SERVICE% (at character 15)',
  ],
];

for (const [format, problem] of bad) test(`refused: ${format}`, () => assert.is(logFormatProblem(format), problem));

test("unknown operators are distinguished from those that Envoy 1.39 has", () => {
  for (const known of ["", "a %% b", "%DURATION% %PATH(NQ):5% %CEL(request.path)%", "%KUMA_SOURCE_SERVICE%"]) {
    assert.is(unknownOperator(known), undefined);
  }
  assert.is(
    unknownOperator("a %% %DURATON%"),
    'unknown operator "%DURATON%"; did you mean "%DURATION%"? (at character 6)',
  );
  assert.is(unknownOperator("%DURATION%%NOPE(x):3%"), 'unknown operator "%NOPE%" (at character 11)');
});

test("a format is parsed without losing a character", () => {
  const format = "a %% %START_TIME(%s)% b%DURATION%";
  assert.equal(parseLogFormat(format), [
    { kind: "text", text: "a %% " },
    { kind: "operator", text: "%START_TIME(%s)%", name: "START_TIME", args: "%s" },
    { kind: "text", text: " b" },
    { kind: "operator", text: "%DURATION%", name: "DURATION", args: undefined },
  ]);
});

test("a hostile format takes no noticeable time", () => {
  const text = "%A(".repeat(200_000);
  assert.match(logFormatProblem(text) ?? "", "has no closing");
  assert.is(logFormatProblem("%%".repeat(500_000)), undefined);
});

test.run();
