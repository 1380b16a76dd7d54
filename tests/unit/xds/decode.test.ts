import * as assert from "uvu/assert";
import { envoy } from "../../../proto-gen/envelope/envoy/service/discovery/v3/discovery.js";
import { google } from "../../../proto-gen/envelope/google/rpc/status.js";
import { typeUrls } from "../../../src/envoy/resource.js";
import { decodeDeltaRequest, decodeSotwRequest } from "../../../src/xds/decode.js";
import { LimitExceeded, xdsLimits } from "../../../src/xds/limits.js";
import { field } from "../../support/discovery-request.js";
import { seeded } from "../../support/random.js";
import { suite } from "../../support/suite.js";

const test = suite("discovery requests");

const { DeltaDiscoveryRequest, DiscoveryRequest } = envoy.service.discovery.v3;

const metadata = (key: string, value: string) =>
  field(3, field(1, Buffer.concat([field(1, key), field(2, field(3, value))])));

/** A number of the metadata. */
function metadataNumber(key: string, value: number) {
  const encoded = Buffer.alloc(9, 0x11);
  encoded.writeDoubleLE(value, 1);
  return field(3, field(1, Buffer.concat([field(1, key), field(2, encoded)])));
}

function refusedWith(limit: string, read: () => unknown): void {
  try {
    read();
    assert.unreachable(`the limit ${limit} was not noticed`);
  } catch (error) {
    assert.ok(error instanceof LimitExceeded, String(error));
    assert.is(error.limit, limit);
    assert.match(error.message, `(limit ${limit})`);
  }
}

test("are read as the generated decoder reads them", () => {
  const random = seeded(5);
  const names = () => Array.from({ length: random.below(5) }, () => `name-${random.below(1000)}`);
  for (let round = 0; round < 300; round++) {
    const [subscribe, unsubscribe] = [names(), names()];
    const refusal = random.below(2) === 0 ? undefined : `no ${round} ü`;
    const versions = new Map(names().map((name) => [name, `v${random.below(100)}`]));
    const error = refusal === undefined ? {} : { error_detail: new google.rpc.Status({ code: 13, message: refusal }) };
    const nonce = random.below(2) === 0 ? "" : `nonce-${round}`;
    const bytes = new DeltaDiscoveryRequest({
      type_url: typeUrls.eds,
      resource_names_subscribe: subscribe,
      resource_names_unsubscribe: unsubscribe,
      initial_resource_versions: versions,
      response_nonce: nonce,
      ...error,
    }).serialize();
    const { request } = decodeDeltaRequest(bytes, false);
    assert.equal(request, { kind: "eds", nonce, refusal, subscribe, unsubscribe, initialVersions: versions });
    const sotw = new DiscoveryRequest({
      type_url: typeUrls.lds,
      resource_names: subscribe,
      response_nonce: nonce,
      ...error,
    });
    const state = decodeSotwRequest(sotw.serialize(), false);
    assert.equal([state.kind, state.names, state.nonce, state.refusal], ["lds", subscribe, nonce, refusal]);
  }
});

test("only the node's id, token path, control plane host, log directories and bootstrap revision are read", () => {
  const extension = field(9, Buffer.from([0xff, 0xff, 0xff]));
  const inner = [
    field(1, "mesh.name"),
    metadata("other", "x"),
    metadata("dataplaneTokenPath", "token"),
    metadata("controlPlaneHost", "10.0.0.1"),
    metadataNumber("bootstrapRevision", 7),
    extension,
  ];
  const bytes = Buffer.concat([field(1, Buffer.concat(inner)), field(2, typeUrls.cds)]);
  const silent = { tokenPath: undefined, controlPlaneHost: undefined, logDirectories: undefined };
  const unknown = { id: "", ...silent, bootstrapRevision: 0 };
  const said = { tokenPath: "token", controlPlaneHost: "10.0.0.1", bootstrapRevision: 7 };
  const node = { ...unknown, id: "mesh.name", ...said };
  assert.equal(decodeDeltaRequest(bytes, true).node, node);
  assert.equal(decodeDeltaRequest(bytes, false).node, unknown);
  const state = Buffer.concat([field(2, Buffer.concat(inner)), field(4, typeUrls.cds)]);
  assert.equal(decodeSotwRequest(state, true).node, node);
  const directories = Array.from({ length: 20 }, (_, index) => `/var/log/${index}`);
  const list = field(6, Buffer.concat(directories.map((directory) => field(1, field(3, directory)))));
  const entry = field(3, field(1, Buffer.concat([field(1, "logDirectories"), field(2, list)])));
  const named = decodeDeltaRequest(Buffer.concat([field(1, entry), field(2, typeUrls.cds)]), true).node;
  assert.equal(named.logDirectories, directories.slice(0, 16));
});

test("that exceed a limit are rejected with the limit's name", () => {
  const node = (...parts: Buffer[]) => Buffer.concat([field(1, Buffer.concat(parts)), field(2, typeUrls.cds)]);
  refusedWith("node_id_length", () => decodeDeltaRequest(node(field(1, `m.${"n".repeat(511)}`)), true));
  refusedWith("metadata_length", () =>
    decodeDeltaRequest(node(metadata("dataplaneTokenPath", "t".repeat(4_097))), true),
  );
  const many = Buffer.concat(Array.from({ length: 20_001 }, () => field(3, "n")));
  refusedWith("names_in_request", () => decodeDeltaRequest(many, false));
  refusedWith("names_in_request", () => decodeSotwRequest(many, false));
  const brought = Buffer.concat(Array.from({ length: 20_001 }, (_, n) => field(5, field(1, `${n}`))));
  refusedWith("names_in_request", () => decodeDeltaRequest(brought, false));
});

test("with an error message of megabytes are truncated, at a character boundary", () => {
  const most = xdsLimits.refusal_length.value;
  for (const words of ["x".repeat(3_000_000), "ü".repeat(3_000), "😀".repeat(600), `x${"😀".repeat(600)}`]) {
    const { request } = decodeDeltaRequest(Buffer.concat([field(2, typeUrls.cds), field(7, field(2, words))]), false);
    const refusal = request?.refusal ?? "";
    assert.is(refusal.length, most + 1);
    assert.ok(refusal.endsWith("…") && refusal.isWellFormed());
  }
  const exact = "y".repeat(most);
  const { request } = decodeDeltaRequest(Buffer.concat([field(2, typeUrls.cds), field(7, field(2, exact))]), false);
  assert.is(request?.refusal, exact);
});

test("with a long version from another control plane do not keep it", () => {
  const entry = Buffer.concat([field(1, "cluster"), field(2, "v".repeat(100_000))]);
  const { request } = decodeDeltaRequest(Buffer.concat([field(2, typeUrls.cds), field(5, entry)]), false);
  assert.equal([...(request?.initialVersions ?? [])], [["cluster", "?"]]);
});

test("that are truncated, corrupted or not requests at all are decoded or rejected, without any other error", () => {
  const random = seeded(9);
  const good = Buffer.concat([
    field(1, Buffer.concat([field(1, "mesh.name"), metadata("dataplaneTokenPath", "token")])),
    field(2, typeUrls.eds),
    ...["a", "b", "c"].map((name) => field(3, name)),
    field(5, Buffer.concat([field(1, "a"), field(2, "1")])),
    field(7, field(2, "no")),
  ]);
  for (let round = 0; round < 5_000; round++) {
    const bytes = Buffer.from(good.subarray(0, 1 + random.below(good.length)));
    for (let flips = random.below(4); flips > 0; flips--) bytes[random.below(bytes.length)] = random.below(256);
    for (const decode of [decodeDeltaRequest, decodeSotwRequest]) {
      try {
        decode(bytes, true);
      } catch (error) {
        assert.ok(error instanceof Error);
      }
    }
  }
  assert.throws(() => decodeDeltaRequest(Buffer.alloc(200_000, 0x0b), true));
});

test.run();
