import { createHash } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { billOfMaterials } from "../../../scripts/release/bill-of-materials.mjs";
import { bundledPackages } from "../../../scripts/release/bundled-packages.mjs";
import { envoyParts } from "../../../scripts/release/envoy-parts.mjs";
import { noticeText } from "../../../scripts/release/notice.mjs";
import { suite } from "../../support/suite.js";

const test = suite("the bill of materials and the notice of a release");

const integrity = (text: string) => `sha512-${createHash("sha512").update(text).digest("base64")}`;
const hex = (text: string) => createHash("sha512").update(text).digest("hex");
let root: string;

/** A repository with a lockfile and three installed packages. */
test.before(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-sbom-"));
  const packages: Record<string, object> = { "": { name: "kuma" } };
  const install = (key: string, own: { name: string; version: string }, files: Record<string, string> = {}) => {
    packages[key] = { version: own.version, integrity: integrity(key) };
    fs.mkdirSync(path.join(root, key), { recursive: true });
    fs.writeFileSync(path.join(root, key, "package.json"), JSON.stringify(own));
    for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(root, key, name), text);
  };
  const pear = { name: "pear", version: "1.0.0", license: "MIT", author: { name: "A. Gardener" } };
  install("node_modules/pear", pear, { LICENSE: "pears are free\n", "index.js": "" });
  install("node_modules/unused", { ...pear, name: "unused" });
  const nested = {
    name: "@fruit/plum",
    version: "2.0.0",
    license: "(BSD-3-Clause OR GPL-2.0)",
    repository: { url: "its home" },
  };
  install("node_modules/pear/node_modules/@fruit/plum", nested);
  install("node_modules/odd", { ...pear, name: "odd", license: "SEE LICENSE IN nowhere" } as typeof pear);
  install("node_modules/@grpc/grpc-js-xds", { ...pear, name: "@grpc/grpc-js-xds" }, { LICENSE: "protos" });
  fs.writeFileSync(path.join(root, "package-lock.json"), JSON.stringify({ packages }));
});

test.after(() => fs.rmSync(root, { recursive: true, force: true }));

const sources = ["src/main.ts", "node_modules/pear/index.js", "node_modules/pear/node_modules/@fruit/plum/a/b.js"];

const facts = () => ({
  kuma: { version: "1.2.3", commit: "c0ffee", sha256: "12" },
  packages: bundledPackages(root, sources),
  node: { version: "24.0.0", integrity: integrity("node"), parts: { v8: "13", ada: "4" } },
  envoy: {
    version: "1.39.3",
    commit: "6eb",
    sha256: "34",
    parts: [
      { name: "fig", version: "0.4.13", purl: "pkg:cargo/fig@0.4.13" },
      { name: "quince", license: "MIT", purl: "pkg:github/orchard/quince" },
    ],
  },
  libraries: [],
  time: new Date("2020-02-20T20:20:20Z"),
});

test("name the packages that were bundled, also nested ones, and no other", () => {
  const found = bundledPackages(root, sources);
  assert.equal(
    found.map(({ name, version, license, holder }) => [name, version, license, holder]),
    [
      ["pear", "1.0.0", "MIT", "A. Gardener"],
      ["@fruit/plum", "2.0.0", "(BSD-3-Clause OR GPL-2.0)", "the authors of its home"],
    ],
  );
  assert.equal(found[0]?.texts, ["pears are free"]);
  const standard = found[1]?.texts ?? [];
  assert.is(standard.length, 2);
  assert.match(standard[0] ?? "", "Redistribution and use in source and binary forms");
  assert.match(standard[1] ?? "", "GNU GENERAL PUBLIC LICENSE");
});

test("name the package of the .proto files that generated code is made of", () => {
  const [found] = bundledPackages(root, ["proto-gen/es/envoy/cluster_pb.ts"]);
  assert.is(found?.name, "@grpc/grpc-js-xds");
});

test("refuse a package whose licence has no text, and one that is not the lockfile's", () => {
  assert.throws(() => bundledPackages(root, ["node_modules/odd/a.js"]), /odd comes without a licence text, and "SEE"/);
  const file = path.join(root, "node_modules", "pear", "package.json");
  const text = fs.readFileSync(file, "utf8");
  fs.writeFileSync(file, text.replace("1.0.0", "1.0.1"));
  assert.throws(
    () => bundledPackages(root, sources),
    /node_modules\/pear is version 1\.0\.1, package-lock\.json has 1\.0\.0/,
  );
  fs.writeFileSync(file, text);
});

test("have the version, licence and checksum of each part", () => {
  const document = JSON.parse(billOfMaterials(facts())) as {
    metadata: { component: { version: string; hashes: object[] } };
    components: {
      name: string;
      "bom-ref": string;
      licenses: object[];
      hashes: object[];
      components?: { name: string; version: string }[];
    }[];
    compositions: object[];
  };
  assert.equal(document.metadata.component.hashes, [{ alg: "SHA-256", content: "12" }]);
  const part = (name: string) => document.components.find((component) => component.name === name);
  assert.equal(part("pear")?.hashes, [{ alg: "SHA-512", content: hex("node_modules/pear") }]);
  assert.equal(part("pear")?.licenses, [{ license: { id: "MIT" } }]);
  assert.equal(part("@fruit/plum")?.licenses, [{ expression: "BSD-3-Clause OR GPL-2.0" }]);
  assert.is(part("@fruit/plum")?.["bom-ref"], "pkg:npm/%40fruit/plum@2.0.0");
  assert.equal(part("envoy")?.hashes, [{ alg: "SHA-256", content: "34" }]);
  assert.equal(part("envoy")?.components, [
    { type: "library", "bom-ref": "envoy#fig@0.4.13", name: "fig", version: "0.4.13", purl: "pkg:cargo/fig@0.4.13" },
    {
      type: "library",
      "bom-ref": "envoy#quince",
      name: "quince",
      purl: "pkg:github/orchard/quince",
      licenses: [{ license: { id: "MIT" } }],
    },
  ]);
  assert.equal(document.compositions, [{ aggregate: "incomplete", assemblies: [part("envoy")?.["bom-ref"]] }]);
  assert.equal(
    part("node")?.components?.map(({ name, version }) => [name, version]),
    [
      ["ada", "4"],
      ["v8", "13"],
    ],
  );
  assert.is(document.components.length, 4);
});

test("list an image's Debian packages, too", () => {
  const libc = { name: "libstdc++6", version: "2.36-9+deb12u14", architecture: "amd64", license: "MIT", sha256: "56" };
  const libraries = [{ ...libc, distribution: { id: "debian", version: "12" } }];
  const text = billOfMaterials({ ...facts(), libraries });
  assert.match(text, '"pkg:deb/debian/libstdc%2B%2B6@2.36-9%2Bdeb12u14?arch=amd64&distro=debian-12"');
});

test("write a licence that SPDX has no identifier of as an expression, which alone may name one of ours", () => {
  const free = { name: "free", version: "1", architecture: "all", license: "LicenseRef-public-domain", sha256: "56" };
  const libraries = [{ ...free, distribution: { id: "debian", version: "12" } }];
  const { components } = JSON.parse(billOfMaterials({ ...facts(), libraries })) as {
    components: { name: string; licenses: object[] }[];
  };
  const found = components.find(({ name }) => name === "free");
  assert.equal(found?.licenses, [{ expression: "LicenseRef-public-domain" }]);
});

test("know Envoy's libraries by what its binary shows, and refuse one that shows less than is known of it", () => {
  const file = path.join(root, "envoy");
  fs.writeFileSync(file, "\0external/envoy_rust_crate_index__h2-0.4.13/src/client.rs\0");
  assert.throws(
    () => envoyParts(file),
    /shows nothing of abseil-cpp, antlr4-cpp-runtime, .* scripts\/release\/envoy-parts\.mjs$/,
  );
});

test("are identical for the same release", () => {
  assert.is(billOfMaterials(facts()), billOfMaterials(facts()));
});

test("the notice has the text of every licence", () => {
  const { packages } = facts();
  const { envoy } = facts();
  const text = noticeText({ head: "Ours\n", packages, nodeLicence: "Node is free\n", envoy });
  assert.ok(text.startsWith("Ours\n\n"));
  for (const part of ["pear 1.0.0\nLicence: MIT\nBy: A. Gardener\n\npears are free\n", "Node.js\n\nNode is free\n"]) {
    assert.match(text, part);
  }
  assert.match(text, "known:\n\n  fig 0.4.13\n  quince, MIT\n\nThis list is not complete");
});

test.run();
