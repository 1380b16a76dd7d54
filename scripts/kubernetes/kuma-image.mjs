// The images of our own programs for tests, that of all and those for Kubernetes: the layers of the release's image around
// the executable in dist/bin. Prints the name of the first and the path of their archive as JSON.
import fs from "node:fs";
import path from "node:path";
import { architectures } from "../architectures.mjs";
import { sha256 } from "../fetch-envoy.mjs";
import { root, script } from "../pinned-node.mjs";
import { writeImages } from "../release/image-archive.mjs";
import { imageConfigOf, imageLayers, kubernetesPrograms } from "../release/image-layers.mjs";
import { cached, hashOf } from "./cached.mjs";

const directory = path.join(root, "dist", "kubernetes");
const { version } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"));

const images = [
  ...["kuma", ...kubernetesPrograms].map((program) => ({ program, config: imageConfigOf(program) })),
  // Redirects nothing: shows the program's usage, whatever its arguments are, and exits with 0.
  {
    program: "kuma-init-without-redirection",
    config: { ...imageConfigOf("kuma-init"), Entrypoint: ["/usr/local/bin/kuma-init", "--help"] },
  },
];

/** Older images, of executables that have been built anew since. */
function removeOthers(file) {
  for (const other of fs.readdirSync(directory)) {
    if (other.endsWith(".tar") && other !== path.basename(file))
      fs.rmSync(path.join(directory, other), { force: true });
  }
}

await script(async () => {
  const bin = path.join(root, "dist", "bin");
  const build = { arch: process.arch, kuma: path.join(bin, "kuma"), envoy: path.join(bin, "envoy") };
  const scripts = ["image-archive", "image-layers", "debian-packages"].map((name) =>
    path.join(root, "scripts", "release", `${name}.mjs`),
  );
  const texts = [sha256(build.kuma), sha256(build.envoy), JSON.stringify(images)];
  const hash = hashOf({ texts, files: scripts });
  const file = await cached(path.join(directory, `kuma-${hash}.tar`), async (place) => {
    const contents = { licence: fs.readFileSync(path.join(root, "LICENSE"), "utf8") };
    const documents = { notice: fs.readFileSync(path.join(root, "NOTICE"), "utf8"), billOfMaterials: () => "{}" };
    await writeImages(place, {
      images: images.map(({ program, config }) => ({ name: `localhost/${program}:${version}`, config })),
      platform: architectures[process.arch].platform,
      layers: imageLayers(contents, { ...build, ...documents }, `${place}.libraries`),
      time: new Date(0),
      directory: `${place}.layers`,
    });
  });
  removeOthers(file);
  console.log(JSON.stringify({ name: `localhost/kuma:${version}`, file }));
});
