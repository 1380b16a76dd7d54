// Makes the images in every test cluster.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { architectures } from "../architectures.mjs";
import { writeImage } from "../release/image-archive.mjs";
import { imageName } from "./kit.mjs";

/** Directories that a container engine mounts something on. */
const mountPoints = ["dev", "etc", "proc", "sys", "run"].map((name) => ({ name, directory: true }));
const base = [...mountPoints, { name: "tmp", directory: true, mode: 0o1777 }];

const program = (name, file) => ({ name, file, mode: 0o755 });

function busybox(root) {
  const file = path.join(root, "bin", "busybox");
  const { status, stdout, stderr } = spawnSync(file, ["--list"], { encoding: "utf8" });
  if (status !== 0) throw new Error(`${file} --list: ${stderr}`);
  const applets = stdout.split("\n").filter((name) => name !== "" && name !== "busybox");
  return [program("bin/busybox", file), ...applets.map((name) => ({ name: `bin/${name}`, link: "busybox" }))];
}

/** Layer and command of each image; `parts` are paths of the kit. */
const images = {
  pause: ({ pause }) => ({ entries: [program("pause", pause)], command: ["/pause"] }),
  dns: ({ dns }) => ({ entries: [program("coredns", dns)], command: ["/coredns", "-conf", "/etc/coredns/Corefile"] }),
  busybox: ({ root }) => ({ entries: busybox(root), command: ["sh"] }),
};

/** Writes the image `name` of `images` to `file`, with one layer. */
export async function writeNodeImage(name, parts, file) {
  const { entries, command } = images[name](parts);
  const directory = `${file}.layers`;
  await writeImage(file, {
    name: imageName(name),
    platform: architectures[process.arch].platform,
    // A numeric user: kubelet can't look a name up for runAsNonRoot.
    config: { User: "0", Env: ["PATH=/bin"], Cmd: command },
    layers: [[...base, ...entries]],
    time: new Date(0),
    directory,
  });
  fs.rmSync(directory, { recursive: true });
}
