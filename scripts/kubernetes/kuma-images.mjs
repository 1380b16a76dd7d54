// The images that manifests name, around the executable in dist/bin, for tests on Kubernetes: the layers of the release's
// images. Prints the path of their archive.
import fs from "node:fs";
import path from "node:path";
import { architectures } from "../architectures.mjs";
import { sha256 } from "../fetch-envoy.mjs";
import { root, script } from "../pinned-node.mjs";
import { writeImages } from "../release/image-archive.mjs";
import { imageLayers, user } from "../release/image-layers.mjs";
import { cached, hashOf } from "./cached.mjs";

const directory = path.join(root, "dist", "kubernetes");
const { version } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"));

const entrypoints = {
  "kuma-cp": ["/usr/local/bin/kuma-cp"],
  "kuma-dp": ["/usr/local/bin/kuma-dp"],
  "kuma-injector": ["/usr/local/bin/kuma-injector"],
  // Redirects nothing: shows the program's usage, whatever its arguments are, and exits with 0.
  "kuma-init-without-redirection": ["/usr/local/bin/kuma-init", "--help"],
};

/** Older archives, of executables that have been built anew since. */
function removeOthers(file) {
  for (const other of fs.readdirSync(directory)) {
    if (/^kuma-images-.*\.tar$/.test(other) && other !== path.basename(file))
      fs.rmSync(path.join(directory, other), { force: true });
  }
}

await script(async () => {
  const bin = path.join(root, "dist", "bin");
  const build = { arch: process.arch, kuma: path.join(bin, "kuma"), envoy: path.join(bin, "envoy") };
  const scripts = ["image-archive", "image-layers", "debian-packages"].map((name) =>
    path.join(root, "scripts", "release", `${name}.mjs`),
  );
  const texts = [sha256(build.kuma), sha256(build.envoy), JSON.stringify(entrypoints)];
  const hash = hashOf({ texts, files: scripts });
  const file = await cached(path.join(directory, `kuma-images-${hash}.tar`), async (place) => {
    const contents = { licence: fs.readFileSync(path.join(root, "LICENSE"), "utf8") };
    const documents = { notice: fs.readFileSync(path.join(root, "NOTICE"), "utf8"), billOfMaterials: () => "{}" };
    await writeImages(place, {
      images: Object.entries(entrypoints).map(([name, Entrypoint]) => ({
        name: `localhost/${name}:${version}`,
        config: { User: `${user}:${user}`, Env: ["PATH=/usr/local/bin"], Entrypoint, WorkingDir: "/home/kuma" },
      })),
      platform: architectures[process.arch].platform,
      layers: imageLayers(contents, { ...build, ...documents }, `${place}.libraries`),
      time: new Date(0),
      directory: `${place}.layers`,
    });
  });
  removeOthers(file);
  console.log(file);
});
