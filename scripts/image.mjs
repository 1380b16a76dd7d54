// npm run image [-- x64|arm64]: kuma-VERSION-image-linux-ARCHITECTURE.tar, the same with images for Kubernetes in place
// of image, and SHA256SUMS, in dist/image.
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { architectures, chosenArchitectures } from "./architectures.mjs";
import { ensureInstalled, pinnedNode, root, runPinned, script, step } from "./pinned-node.mjs";

const directory = path.join(root, "dist", "image");

await script(async () => {
  const words = process.argv.slice(2);
  const chosen = chosenArchitectures(words);
  ensureInstalled();
  if (process.execPath !== fs.realpathSync(pinnedNode())) {
    return runPinned([fileURLToPath(import.meta.url), ...words]);
  }
  const { makeContents } = await import("./release/contents.mjs");
  const { writeImage, writeImages } = await import("./release/image-archive.mjs");
  const { imageConfigOf, imageLayers, kubernetesPrograms } = await import("./release/image-layers.mjs");
  const { sumsText } = await import("./release/sums.mjs");

  fs.rmSync(directory, { recursive: true, force: true });
  const work = path.join(directory, "work");
  fs.mkdirSync(work, { recursive: true });
  try {
    const contents = await makeContents(chosen, work);
    const { version, commit, time } = contents;
    const named = (program) => ({
      name: `localhost/${program}:${version}`,
      config: {
        ...imageConfigOf(program),
        Labels: {
          "org.opencontainers.image.title": program,
          "org.opencontainers.image.version": version,
          "org.opencontainers.image.revision": commit,
          "org.opencontainers.image.licenses": "Apache-2.0",
        },
      },
    });
    const images = [];
    for (const build of contents.builds) {
      const { arch } = build;
      const name = `kuma-${version}-image-linux-${arch}.tar`;
      const kubernetesName = `kuma-${version}-kubernetes-images-linux-${arch}.tar`;
      const libraries = path.join(work, `libraries-${arch}`);
      const layers = await step(`Fetched shared libraries for ${arch}`, () => imageLayers(contents, build, libraries));
      const shared = {
        platform: architectures[arch].platform,
        layers,
        time,
        directory: path.join(work, `layers-${arch}`),
      };
      const written = await step(`Packed the image for ${arch}`, () =>
        writeImage(path.join(directory, name), { ...named("kuma"), ...shared }),
      );
      images.push({ name, ...written });
      const several = await step(`Packed the images for Kubernetes on ${arch}`, () =>
        writeImages(path.join(directory, kubernetesName), { images: kubernetesPrograms.map(named), ...shared }),
      );
      images.push({ name: kubernetesName, ...several });
    }
    fs.writeFileSync(path.join(directory, "SHA256SUMS"), sumsText(images));
    for (const { name, size } of images) console.log(`dist/image/${name}  ${(size / 1e6).toFixed(1)} MB`);
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
});
