// The image's three layers; the one that changes least often comes first.
import fs from "node:fs";
import path from "node:path";
import { architectures } from "../architectures.mjs";
import { programs } from "../programs.mjs";
import { unpackDebianPackages } from "./debian-packages.mjs";
import { sharedLibraries } from "./shared-libraries.mjs";

/** The user and group ID of Kuma's sidecars: rules that redirect a pod's traffic exempt its connections. */
export const user = 5678;

const home = "/home/kuma";
/**
 * The configuration, without labels, of the image called `program`. "kuma" is not a program: its first argument selects
 * one.
 */
export const imageConfigOf = (program) => ({
  User: `${user}:${user}`,
  Env: ["PATH=/usr/local/bin"],
  Entrypoint: [`/usr/local/bin/${program}`],
  WorkingDir: home,
});

/** Each is an image of its own on Kubernetes, where manifests name an image and arguments, but no program. */
export const kubernetesPrograms = ["kuma-cp", "kuma-dp", "kuma-injector", "kuma-init"];

/** Mount points of container engines, which can't create directories in a read-only image. */
const mountPoints = ["dev", "proc", "sys", "run"].map((name) => ({ name, directory: true }));

const accounts = [
  { name: "etc/passwd", data: `root:x:0:0:root:/:/sbin/nologin\nkuma:x:${user}:${user}:Kuma:${home}:/sbin/nologin\n` },
  { name: "etc/group", data: `root:x:0:\nkuma:x:${user}:\n` },
];

/** Engines bring their own hosts file. Without one, or without this lookup order, "localhost" would be resolved by DNS. */
const names = [
  { name: "etc/nsswitch.conf", data: "hosts: files dns\n" },
  { name: "etc/hosts", data: "127.0.0.1 localhost\n::1 localhost\n" },
];

/** Mozilla's CA certificates in one file, as Debian's update-ca-certificates creates it on a machine. */
function authorities(unpacked) {
  const directory = path.join(unpacked, "usr", "share", "ca-certificates", "mozilla");
  const certificates = fs.readdirSync(directory).sort();
  const text = certificates.map((name) => `${fs.readFileSync(path.join(directory, name), "utf8").trim()}\n`).join("");
  return { name: "etc/ssl/certs/ca-certificates.crt", data: text };
}

/** kuma-dp creates its FIFO with it, because Node has no call for that. */
const mkfifo = "usr/bin/mkfifo";

function base(unpacked, packages, { libraries, loader }, triplet) {
  const place = `lib/${triplet}`;
  // Relative, so that it is also valid below a directory, where an emulator looks.
  const toLoader = path.posix.relative(path.posix.dirname(loader), `/${place}/${path.posix.basename(loader)}`);
  return [
    ...[...libraries].map(([name, file]) => ({ name: `${place}/${name}`, file, mode: 0o755 })),
    { name: loader.slice(1), link: toLoader },
    ...packages.map(({ name }) => {
      const copyright = `usr/share/doc/${name}/copyright`;
      return { name: copyright, data: fs.readFileSync(path.join(unpacked, copyright)) };
    }),
    { name: mkfifo, file: path.join(unpacked, mkfifo), mode: 0o755 },
    authorities(unpacked),
    ...accounts,
    ...names,
    ...mountPoints,
    { name: home.slice(1), directory: true, mode: 0o700, owner: user },
    { name: "tmp", directory: true, mode: 0o1777 },
  ];
}

/**
 * The layers, each a list of entries for writeTar, of one of `contents.builds`. The entries point to files in the
 * scratch directory `directory`.
 */
export function imageLayers({ licence }, build, directory) {
  const { triplet } = architectures[build.arch];
  const packages = unpackDebianPackages(build.arch, directory);
  const needed = sharedLibraries([build.kuma, build.envoy, path.join(directory, mkfifo)], directory, triplet);
  if (!needed.libraries.has(path.posix.basename(needed.loader))) {
    throw new Error(`the programs are loaded by ${needed.loader}, which is in none of the packages`);
  }
  const documents = { LICENSE: licence, NOTICE: build.notice, "sbom.cdx.json": build.billOfMaterials(packages) };
  return [
    base(directory, packages, needed, triplet),
    [{ name: "usr/local/bin/envoy", file: build.envoy, mode: 0o755 }],
    [
      { name: "usr/local/bin/kuma", file: build.kuma, mode: 0o755 },
      ...programs.map((program) => ({ name: `usr/local/bin/${program}`, link: "kuma" })),
      ...Object.entries(documents).map(([name, data]) => ({ name: `usr/share/doc/kuma/${name}`, data })),
    ],
  ];
}
