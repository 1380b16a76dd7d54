import * as assert from "uvu/assert";
import { readOptions } from "../../bench/load/options.js";
import { suite } from "../../support/suite.js";

const test = suite("the options of bench:xds");

test("are those of the targets when nothing is said", () => {
  assert.equal(readOptions([]), {
    dataplanes: [1000],
    services: 100,
    outbounds: 10,
    policies: 100,
    mtls: true,
    mode: "delta",
    store: "memory",
  });
});

test("can all be given", () => {
  const words = "--dataplanes 100,300 --services 20 --outbounds 5 --policies 0 --no-mtls --mode sotw --store postgres";
  assert.equal(readOptions(words.split(" ")), {
    dataplanes: [100, 300],
    services: 20,
    outbounds: 5,
    policies: 0,
    mtls: false,
    mode: "sotw",
    store: "postgres",
  });
});

for (const [words, wrong] of [
  ["--dataplanes many", /--dataplanes is "many", but has to be a whole number from 10 on/],
  ["--dataplanes 100,", /--dataplanes is ""/],
  ["--services 0", /--services is "0"/],
  ["--outbounds 11 --services 10", /--outbounds is "11", but has to be at most the 10 services/],
  ["--mode grpc", /--mode is "grpc", but has to be delta or sotw/],
  ["--store disk", /--store is "disk", but has to be memory or postgres/],
  ["--what", /--what.*usage: npm run bench:xds/],
] as const) {
  test(`are refused with what would be right: ${words}`, () => {
    assert.throws(() => readOptions(words.split(" ")), wrong);
  });
}

test.run();
