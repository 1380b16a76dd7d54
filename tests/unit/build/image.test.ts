import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { architectures } from "../../../scripts/architectures.mjs";
import { writeImage, writeImages } from "../../../scripts/release/image-archive.mjs";
import { sharedLibraries } from "../../../scripts/release/shared-libraries.mjs";
import { suite } from "../../support/suite.js";

const test = suite("the image of a release");

let work: string;

test.before(() => {
  work = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-image-"));
});

test.after(() => fs.rmSync(work, { recursive: true, force: true }));

interface Descriptor {
  readonly digest: string;
  readonly size: number;
}

function write(name: string, time: Date) {
  return writeImage(path.join(work, name), {
    name: "localhost/kuma:1.2.3",
    platform: { architecture: "arm64", os: "linux", variant: "v8" },
    config: { User: "1:1", Entrypoint: ["/kuma"] },
    layers: [[{ name: "lib/a", data: "a" }], [{ name: "kuma", data: "kuma" }]],
    time,
    directory: path.join(work, `${name}-layers`),
  });
}

test("is an OCI layout whose digests hold, and has the index of docker save", async () => {
  await write("image.tar", new Date("2020-02-20T20:20:20Z"));
  const layout = path.join(work, "layout");
  fs.mkdirSync(layout);
  spawnSync("tar", ["-xf", path.join(work, "image.tar"), "-C", layout]);
  const read = (name: string) => JSON.parse(fs.readFileSync(path.join(layout, name), "utf8"));
  const blob = ({ digest, size }: Descriptor) => {
    const name = path.join("blobs", "sha256", digest.replace("sha256:", ""));
    const bytes = fs.readFileSync(path.join(layout, name));
    assert.is(`sha256:${createHash("sha256").update(bytes).digest("hex")}`, digest);
    assert.is(bytes.length, size);
    return name;
  };
  assert.equal(read("oci-layout"), { imageLayoutVersion: "1.0.0" });
  const [entry] = read("index.json").manifests;
  assert.is(entry.annotations["io.containerd.image.name"], "localhost/kuma:1.2.3");
  assert.is(entry.annotations["org.opencontainers.image.ref.name"], "1.2.3");
  const manifest = read(blob(entry));
  const layers = manifest.layers.map(blob);
  const config = read(blob(manifest.config));
  assert.equal(
    config.rootfs.diff_ids,
    manifest.layers.map(({ digest }: Descriptor) => digest),
  );
  assert.equal([config.architecture, config.variant, config.created], ["arm64", "v8", "2020-02-20T20:20:20.000Z"]);
  assert.equal(config.config, { User: "1:1", Entrypoint: ["/kuma"] });
  assert.equal(read("manifest.json"), [
    { Config: blob(manifest.config), RepoTags: ["localhost/kuma:1.2.3"], Layers: layers },
  ]);
  const [, last] = layers;
  assert.is(spawnSync("tar", ["-xOf", path.join(layout, last), "kuma"], { encoding: "utf8" }).stdout, "kuma");
});

test("is one of several in an archive that has their layers once, each with an entrypoint of its own", async () => {
  const file = path.join(work, "several.tar");
  const names = ["localhost/kuma-cp:1.2.3", "localhost/kuma-dp:1.2.3"];
  await writeImages(file, {
    images: names.map((name) => ({ name, config: { Entrypoint: [name] } })),
    platform: { architecture: "amd64", os: "linux" },
    layers: [[{ name: "kuma", data: "kuma" }]],
    time: new Date(0),
    directory: path.join(work, "several-layers"),
  });
  const content = (name: string) => spawnSync("tar", ["-xOf", file, name], { encoding: "utf8" }).stdout;
  const { manifests } = JSON.parse(content("index.json"));
  assert.equal(
    manifests.map(({ annotations }: { annotations: Record<string, string> }) => Object.values(annotations)),
    [
      [names[0], "kuma-cp:1.2.3"],
      [names[1], "kuma-dp:1.2.3"],
    ],
  );
  const saved = JSON.parse(content("manifest.json"));
  assert.equal(
    saved.map(({ RepoTags }: { RepoTags: string[] }) => RepoTags),
    [[names[0]], [names[1]]],
  );
  assert.equal(saved[0].Layers, saved[1].Layers);
  const entrypoints = saved.map(({ Config }: { Config: string }) => JSON.parse(content(Config)).config.Entrypoint);
  assert.equal(entrypoints, [[names[0]], [names[1]]]);
  const { stdout } = spawnSync("tar", ["-tf", file], { encoding: "utf8" });
  // A layer, and a configuration and a manifest for each.
  assert.is(stdout.split("\n").filter((line) => /^blobs\/sha256\/./.test(line)).length, 5);
});

test("is reproducible, and from another commit has the same layers where their content is the same", async () => {
  const time = new Date("2020-02-20T20:20:20Z");
  assert.equal(await write("again.tar", time), await write("and-again.tar", time));
  const names = async (name: string, of: Date) => {
    await write(name, of);
    const { stdout } = spawnSync("tar", ["-tf", path.join(work, name)], { encoding: "utf8" });
    return stdout.split("\n").filter((line) => /^blobs\/sha256\/./.test(line));
  };
  const old = await names("old.tar", time);
  const later = await names("later.tar", new Date("2021-01-01T00:00:00Z"));
  // Two of the four blobs tell of the time: configuration and manifest.
  assert.is(old.filter((name) => later.includes(name)).length, 2);
});

test("has the libraries of its programs and those of the libraries, and refuses when one can't be had", () => {
  const { triplet } = architectures[process.arch === "arm64" ? "arm64" : "x64"];
  const { libraries, loader } = sharedLibraries([process.execPath], "/", triplet);
  for (const name of ["libc.so.6", "libstdc++.so.6", "libgcc_s.so.1"])
    assert.ok(fs.existsSync(libraries.get(name) ?? ""));
  assert.match(loader, /^\/lib(64)?\/ld-linux-/);
  assert.throws(
    () => sharedLibraries([process.execPath], work, triplet),
    /node needs \S+, which is in none of the packages/,
  );
});

test.run();
