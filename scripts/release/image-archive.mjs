// Images as one tar: an OCI image layout that also has the manifest.json of `docker save`, so that every engine can
// load it.
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { writeTar } from "./tar.mjs";

const mediaType = (kind) => `application/vnd.oci.image.${kind}`;

/** A text as a blob of the layout: its descriptor and its entry. */
function textBlob(type, document) {
  const data = Buffer.from(JSON.stringify(document));
  const sha256 = createHash("sha256").update(data).digest("hex");
  return {
    descriptor: { mediaType: type, digest: `sha256:${sha256}`, size: data.length },
    entry: { name: `blobs/sha256/${sha256}`, data },
  };
}

/** Layers do not contain the commit, so a layer with unchanged content stays identical. */
const layerTime = new Date(0);

/** Layers are uncompressed, as engines save them, so that their digests are those of the unpacked content. */
async function layerBlobs(layers, directory) {
  const blobs = [];
  for (const [index, entries] of layers.entries()) {
    const file = path.join(directory, `layer-${index}.tar`);
    const { sha256, size } = await writeTar(file, entries, { time: layerTime });
    blobs.push({
      descriptor: { mediaType: mediaType("layer.v1.tar"), digest: `sha256:${sha256}`, size },
      entry: { name: `blobs/sha256/${sha256}`, file },
    });
  }
  return blobs;
}

/** The configuration and the manifest of an image with these layers. */
function imageBlobs({ config, platform, created, layers }) {
  const configBlob = textBlob(mediaType("config.v1+json"), {
    created,
    ...platform,
    config,
    rootfs: { type: "layers", diff_ids: layers.map(({ descriptor }) => descriptor.digest) },
    history: layers.map(() => ({ created, created_by: "npm run image" })),
  });
  const manifest = textBlob(mediaType("manifest.v1+json"), {
    schemaVersion: 2,
    mediaType: mediaType("manifest.v1+json"),
    config: configBlob.descriptor,
    layers: layers.map(({ descriptor }) => descriptor),
  });
  return { configBlob, manifest };
}

/**
 * Writes images that share their layers to `file`. `layers` are lists of entries for writeTar, `platform` is
 * architecture, os and variant, and `time` is the creation time. Of each of `images`, `config` is OCI's object of that
 * name (user, entrypoint, environment) and `name` is the name and tag for an engine. Layers are written to `directory`
 * on the way.
 */
export async function writeImages(file, { images, platform, layers, time, directory }) {
  fs.mkdirSync(directory, { recursive: true });
  const blobs = await layerBlobs(layers, directory);
  const created = time.toISOString();
  const written = images.map(({ name, config }) => ({
    name,
    ...imageBlobs({ config, platform, created, layers: blobs }),
  }));
  // The reference in a layout is the tag; among several images it also has to say which.
  const reference = (name) => name.replace(images.length > 1 ? /^.*\// : /^.*:/, "");
  const index = {
    schemaVersion: 2,
    mediaType: mediaType("index.v1+json"),
    manifests: written.map(({ name, manifest }) => ({
      ...manifest.descriptor,
      platform,
      annotations: {
        "io.containerd.image.name": name,
        "org.opencontainers.image.ref.name": reference(name),
      },
    })),
  };
  const saved = written.map(({ name, configBlob }) => ({
    Config: configBlob.entry.name,
    RepoTags: [name],
    Layers: blobs.map(({ entry }) => entry.name),
  }));
  const entries = [
    { name: "oci-layout", data: JSON.stringify({ imageLayoutVersion: "1.0.0" }) },
    { name: "index.json", data: JSON.stringify(index) },
    { name: "manifest.json", data: JSON.stringify(saved) },
    ...written.flatMap(({ configBlob, manifest }) => [configBlob.entry, manifest.entry]),
    ...blobs.map(({ entry }) => entry),
  ];
  return writeTar(file, entries, { time });
}

/** `writeImages` for one image. */
export const writeImage = (file, { name, config, ...shared }) =>
  writeImages(file, { images: [{ name, config }], ...shared });
