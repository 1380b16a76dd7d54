// deadline: 600 s
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import spdx from "spdx-license-list";
import * as assert from "uvu/assert";
import { fetchEnvoy } from "../../scripts/fetch-envoy.mjs";
import { readSettings } from "../../src/cp/settings.js";
import { exampleYaml } from "../../src/cp/settings-pages.js";
import { checkoutTo } from "../support/checkout.js";
import { unpackDebianRoot } from "../support/debian-root.js";
import { bin, startControlPlane } from "../support/executable.js";
import { type Machine, startMachine } from "../support/machine.js";
import { shellBlocks } from "../support/readme.js";
import { suite } from "../support/suite.js";
import { mutualTls, quickstart } from "../support/walk.js";

const test = suite("a release", {
  needs: [
    ...["root", "envoy"],
    ...["apt-get", "dpkg-deb", "mmdebstrap", "readelf", "skopeo"],
    ...["ip", "unshare", "nsenter", "systemd-nspawn"],
    ...["qemu-aarch64-static", "aarch64-linux-gnu-strip"],
  ],
});

const { version } = JSON.parse(fs.readFileSync("package.json", "utf8")) as { version: string };
const work = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-release-"));
/** Two directories whose names differ in length, as a path that got into a file would show. */
const first = path.join(work, "a");
const second = path.join(work, "another", "directory");
const tarball = (arch: string) => path.join(first, "dist", "release", `kuma-${version}-linux-${arch}.tar.gz`);
const kubernetesImages = (arch: string) =>
  path.join(first, "dist", "image", `kuma-${version}-kubernetes-images-linux-${arch}.tar`);
const image = (arch: string) => path.join(first, "dist", "image", `kuma-${version}-image-linux-${arch}.tar`);

function run(program: string, args: readonly string[], options: { cwd?: string; env?: NodeJS.ProcessEnv } = {}) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: "utf8", ...options });
  return { status, stdout, stderr: error?.message ?? stderr };
}

/** Runs a program that has to do well. */
function must(program: string, args: readonly string[], options: { cwd?: string; env?: NodeJS.ProcessEnv } = {}) {
  const { status, stdout, stderr } = run(program, args, options);
  if (status !== 0) throw new Error(`${program} ${args.join(" ")}: ${stderr}${stdout}`);
  return stdout;
}

function unpack(archive: string, directory: string): string {
  fs.mkdirSync(directory, { recursive: true });
  must("tar", ["-xf", archive, "-C", directory]);
  return directory;
}

interface ImageConfig {
  readonly architecture: string;
  readonly config: { readonly User: string; readonly Env: readonly string[]; readonly Entrypoint: readonly string[] };
}

interface Unpacked {
  readonly root: string;
  readonly config: ImageConfig;
}

const unpackedImages = new Map<string, Unpacked>();

/** Unpacks an image, once, as an engine would: the layers that its manifest names, one over the other. */
function unpackImage(arch: string): Unpacked {
  const known = unpackedImages.get(arch);
  if (known !== undefined) return known;
  const layout = unpack(image(arch), path.join(work, `layout-${arch}`));
  const read = (name: string) => JSON.parse(fs.readFileSync(path.join(layout, name), "utf8")) as unknown;
  const [saved] = read("manifest.json") as [{ Config: string; Layers: string[] }];
  const root = path.join(work, `image-${arch}`);
  for (const layer of saved.Layers) unpack(path.join(layout, layer), root);
  const unpacked = { root, config: read(saved.Config) as ImageConfig };
  unpackedImages.set(arch, unpacked);
  return unpacked;
}

const debian = path.join(work, "debian");

test.before(() => {
  for (const directory of [first, second]) checkoutTo(directory);
  for (const command of ["release", "image"]) {
    must("npm", ["run", command], { cwd: first });
    // Other surroundings: what is read of them and gets into a file would show.
    const env = { ...process.env, TZ: "Asia/Tokyo", LC_ALL: "C", KUMA_API_SERVER_PORT: "1" };
    must("sh", ["-c", `umask 077; npm run ${command}`], { cwd: second, env });
  }
  unpackDebianRoot(debian);
});

test.after(() => fs.rmSync(work, { recursive: true, force: true }));

const sum = (file: string) => createHash("sha256").update(fs.readFileSync(file)).digest("hex");

test("is identical from two builds in two directories, and its checksums are right", () => {
  for (const [directory, count] of [
    ["dist/release", 3],
    ["dist/image", 5],
  ] as const) {
    const names = fs.readdirSync(path.join(first, directory)).sort();
    assert.is(names.length, count);
    assert.equal(fs.readdirSync(path.join(second, directory)).sort(), names);
    for (const name of names) {
      assert.is(sum(path.join(first, directory, name)), sum(path.join(second, directory, name)), name);
    }
    must("sha256sum", ["--check", "--strict", "SHA256SUMS"], { cwd: path.join(first, directory) });
  }
});

test("has the listed files in its tarballs, owned by root, dated by the commit", () => {
  const time = must("git", ["log", "-1", "--format=%cd", "--date=format-local:%Y-%m-%d %H:%M"]).trim();
  for (const arch of ["x64", "arm64"]) {
    const listing = must("tar", ["-tvzf", tarball(arch)])
      .trim()
      .split("\n");
    for (const line of listing) {
      assert.match(line, / 0\/0 /);
      assert.match(line, ` ${time} kuma-${version}`);
    }
    const root = path.join(unpack(tarball(arch), path.join(work, `tarball-${arch}`)), `kuma-${version}`);
    must("sha256sum", ["--check", "--strict", "SHA256SUMS"], { cwd: root });
    const listed = fs.readFileSync(path.join(root, "SHA256SUMS"), "utf8");
    const entries = fs.readdirSync(root, { recursive: true, withFileTypes: true });
    for (const entry of entries.filter((candidate) => candidate.isFile() && candidate.name !== "SHA256SUMS")) {
      assert.match(listed, `  ${path.relative(root, path.join(entry.parentPath, entry.name))}\n`);
    }
    assert.is(fs.readlinkSync(path.join(root, "bin", "kumactl")), "kuma");
    const defaults = exampleYaml(readSettings(undefined, {}).settings);
    assert.is(fs.readFileSync(path.join(root, "conf", "kuma-cp.conf.yaml"), "utf8"), defaults);
  }
});

interface Component {
  readonly "bom-ref": string;
  readonly name: string;
  readonly version?: string;
  readonly licenses?: readonly { readonly license?: { readonly id: string }; readonly expression?: string }[];
  readonly components?: readonly Component[];
}

test("has bills of materials with valid licences and unique references, and Envoy's libraries in them", () => {
  for (const arch of ["x64", "arm64"]) {
    for (const file of [
      path.join(work, `tarball-${arch}`, `kuma-${version}`, "sbom.cdx.json"),
      path.join(unpackImage(arch).root, "usr/share/doc/kuma/sbom.cdx.json"),
    ]) {
      const { components } = JSON.parse(fs.readFileSync(file, "utf8")) as { components: readonly Component[] };
      const all = components.flatMap((component) => [component, ...(component.components ?? [])]);
      assert.is(new Set(all.map((component) => component["bom-ref"])).size, all.length);
      for (const { license, expression } of all.flatMap(({ licenses }) => licenses ?? [])) {
        if (license === undefined) assert.match(expression ?? "", /^[\w.+-]+( (AND|OR|WITH) [\w.+-]+)*$/);
        else assert.ok(Object.hasOwn(spdx, license.id), license.id);
      }
      const envoys = components.find(({ name }) => name === "envoy")?.components ?? [];
      for (const name of ["boringssl", "nghttp2", "h2"])
        assert.ok(
          envoys.some((part) => part.name === name),
          name,
        );
      const notice = fs.readFileSync(path.join(path.dirname(file), "NOTICE"), "utf8");
      for (const { name } of envoys) assert.match(notice, `\n  ${name}`);
    }
  }
});

test("has examples that a control plane accepts", async () => {
  const examples = path.join(work, `tarball-${process.arch}`, `kuma-${version}`, "examples");
  const names = fs.readdirSync(examples);
  for (const name of ["mesh.json", "web-01.yaml", "quickstart-redis-1.yaml"]) assert.ok(names.includes(name), name);
  const controlPlane = await startControlPlane();
  try {
    const config = path.join(work, "kumactl.yaml");
    fs.writeFileSync(config, "{}\n");
    const kumactl = (...words: string[]) => must(path.join(bin, "kumactl"), ["--config-file", config, ...words]);
    kumactl("config", "control-planes", "add", "--name=test", `--address=${controlPlane.api}`);
    // The Mesh that others are in comes first.
    for (const name of ["mesh.json", ...names]) kumactl("apply", "-f", path.join(examples, name));
  } finally {
    await controlPlane.stop();
  }
});

test("for arm64 runs in an emulator, with the libraries of its image, and takes its code cache", () => {
  const { root } = unpackImage("arm64");
  const programs = path.join(work, "tarball-arm64", `kuma-${version}`, "bin");
  const emulated = (...words: string[]) => run("qemu-aarch64-static", ["-L", root, ...words]);
  assert.equal(emulated(path.join(programs, "kuma"), "version"), { status: 0, stdout: `${version}\n`, stderr: "" });
  const help = emulated(path.join(programs, "kumactl"), "-h");
  assert.is(help.stderr, "");
  assert.is(help.stdout, must(path.join(bin, "kumactl"), ["-h"]));
  assert.is(emulated(path.join(root, "usr/local/bin/kuma"), "kumactl", "version").stdout, `${version}\n`);
});

test("is not built when one byte of the cached Envoy was flipped", async () => {
  const envoy = (await fetchEnvoy({ environment: {} })) as string;
  const cache = path.join(work, "cache", "kuma-build");
  fs.mkdirSync(cache, { recursive: true });
  const bytes = fs.readFileSync(envoy);
  const place = bytes.length >> 1;
  bytes[place] = (bytes[place] ?? 0) ^ 1;
  fs.writeFileSync(path.join(cache, path.basename(envoy)), bytes, { mode: 0o755 });
  const env = { ...process.env, XDG_CACHE_HOME: path.dirname(cache) };
  for (const command of ["build", "release", "image"]) {
    const { status, stderr } = run(
      "npm",
      ["run", "--silent", command, ...(command === "build" ? [] : [process.arch])],
      {
        cwd: second,
        env,
      },
    );
    assert.is(status, 1, command);
    assert.match(stderr, /is not the expected Envoy: its SHA-256 is [0-9a-f]{64}, expected [0-9a-f]{64}/);
  }
  assert.not(fs.existsSync(path.join(second, "dist", "bin", "envoy")));
  assert.equal(fs.readdirSync(path.join(second, "dist", "release")), []);
  assert.equal(fs.readdirSync(path.join(second, "dist", "image")), []);
});

/** A machine with the Debian root, and the release where its user downloaded it. */
function debianMachine(): Promise<Machine> {
  const environment = ["HOME=/root", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"];
  return startMachine({
    setUp: `
      mount -t proc proc ${debian}/proc
      mount --rbind /dev ${debian}/dev
      mount --bind ${path.join(first, "dist", "release")} ${debian}/mnt`,
    shell: ["chroot", debian, "/usr/bin/env", "-i", "-C", "/mnt", ...environment, "bash", "-ec"],
  });
}

/** Every file with its owner and mode, outside mounts, /tmp and /root, but for the copies that useradd leaves of what it changes. */
function files(): string[] {
  const left = ["proc", "dev", "mnt", "tmp", "run", "root"].flatMap((name) => [
    "-path",
    path.join(debian, name),
    "-prune",
    "-o",
  ]);
  const format = ["-printf", "%P %y %m %U:%G %l\\n"];
  const lines = must("find", [debian, ...left, "!", "-name", "*-", ...format])
    .trim()
    .split("\n");
  return lines.filter((line) => !line.startsWith("etc/.pwd.lock"));
}

/** What came (+) and went (-) between two listings. */
function difference(before: readonly string[], after: readonly string[]): string[] {
  const [old, present] = [new Set(before), new Set(after)];
  const came = after.filter((line) => !old.has(line)).map((line) => `+ ${line}`);
  return [...came, ...before.filter((line) => !present.has(line)).map((line) => `- ${line}`)].sort();
}

const forThisMachine = (block: string) => block.replaceAll("linux-x64", `linux-${process.arch}`);

test("works on a Debian without Node by the README's commands: install, quickstart, uninstall", async () => {
  const [install = ""] = shellBlocks("Install");
  const [uninstall = ""] = shellBlocks("Uninstall");
  const before = files();
  const machine = await debianMachine();
  const does = (script: string) => {
    const { status, stdout, stderr } = machine.run(script);
    assert.is(status, 0, stderr);
    return stdout;
  };
  try {
    assert.is(machine.run("command -v node").status, 1);
    assert.match(does(forThisMachine(install)), `Kuma ${version} is installed`);
    assert.is(does("stat -c '%a %U:%G' /etc/kuma /etc/kuma/kuma-cp.conf.yaml"), "750 root:kuma\n640 root:kuma\n");
    assert.is(does("systemd-analyze verify kuma-cp.service kuma-dp@redis-1.service 2>&1"), "");
    does("kuma-cp config -c /etc/kuma/kuma-cp.conf.yaml");
    await mutualTls(machine, await quickstart(machine));
    assert.match(does(uninstall), "Kuma is uninstalled");
  } finally {
    await machine.stop();
  }
  assert.equal(difference(before, files()), []);
});

test("keeps changed settings, and refuses a directory that others can't read", async () => {
  const machine = await debianMachine();
  try {
    machine.run(`tar -xzf kuma-${version}-linux-${process.arch}.tar.gz -C /root`);
    const refused = machine.run(`/root/kuma-${version}/install.sh`);
    assert.is(refused.status, 1);
    assert.is(refused.stderr, "Error: /root is closed to other users: unpack where services can read, such as /opt\n");
    assert.is(machine.run(`mv /root/kuma-${version} /opt && /opt/kuma-${version}/install.sh`).status, 0);
    const again = machine.run(`echo '# mine' >> /etc/kuma/kuma-cp.conf.yaml; /opt/kuma-${version}/install.sh`);
    assert.is(again.status, 0, again.stderr);
    assert.match(machine.run(`/opt/kuma-${version}/install.sh --uninstall`).stdout, "holds settings of yours");
    assert.match(machine.run("tail -n 1 /etc/kuma/kuma-cp.conf.yaml; ls /usr/local/bin").stdout, /^# mine\n$/);
    const gone = machine.run(`/opt/kuma-${version}/install.sh --uninstall`);
    assert.is(gone.status, 1);
    assert.match(gone.stderr, "is no link into /opt");
    assert.is(machine.run(`rm -r /etc/kuma /opt/kuma-${version} && userdel kuma`).status, 0);
  } finally {
    await machine.stop();
  }
});

test("replaces an older one: links, units and unchanged settings", async () => {
  const machine = await debianMachine();
  const [newer, older] = [`/opt/kuma-${version}`, "/opt/kuma-older"];
  const settings = "/etc/kuma/kuma-cp.conf.yaml";
  const installs = (release: string) => {
    const { status, stdout, stderr } = machine.run(`${release}/install.sh`);
    assert.is(status, 0, stderr);
    return stdout;
  };
  const refuses = (script: string, reason: string) => {
    const { status, stderr } = machine.run(script);
    assert.is(status, 1, script);
    assert.match(stderr, reason);
    assert.is(machine.run("readlink /usr/local/bin/kumactl").stdout, `${older}/bin/kumactl\n`, "nothing was changed");
  };
  try {
    // Another default, a setting that is no more and another unit: what differs between two releases.
    machine.run(`
      tar -xzf kuma-${version}-linux-${process.arch}.tar.gz -C /opt
      cp -al ${newer} ${older}
      cd ${older}
      sed -i 's/^  port: 5681/  port: 5691/' conf/kuma-cp.conf.yaml
      sed -i '$a # older' systemd/kuma-cp.service`);
    assert.match(installs(older), "Next: systemctl enable --now kuma-cp");
    assert.is(machine.run(`cmp ${settings} ${older}/conf/kuma-cp.conf.yaml`).status, 0);
    assert.match(installs(newer), `Next: restart kuma-cp, then each kuma-dp; until then they run what is in ${older}`);
    for (const [installed, theirs] of [
      [settings, "conf/kuma-cp.conf.yaml"],
      ["/etc/systemd/system/kuma-cp.service", "systemd/kuma-cp.service"],
      ["/usr/local/bin/kuma-dp", "bin/kuma"],
    ]) {
      assert.is(machine.run(`cmp ${installed} ${newer}/${theirs}`).status, 0, installed);
    }
    assert.is(machine.run("readlink /usr/local/bin/kuma-dp").stdout, `${newer}/bin/kuma-dp\n`);
    // The way back, with settings of one's own that the newer release does not know.
    installs(older);
    machine.run(`echo 'gone: true' >> ${settings}`);
    refuses(`${newer}/install.sh`, `kuma-cp ${version} does not take ${settings}: see above, and nothing was changed`);
    refuses(`${newer}/install.sh`, "gone");
    refuses(`${newer}/install.sh --uninstall`, "uninstall with the install.sh of what is installed");
    refuses(`${newer}/install.sh --prefix=/usr`, "Error: usage: install.sh [--uninstall]");
    refuses(`setpriv --reuid=65534 --clear-groups ${newer}/install.sh`, "Error: run this as root");
    refuses(`ln -sf /bin/true /usr/local/bin/kuma-dp && ${newer}/install.sh`, "kuma-dp leads to another program");
    assert.equal(machine.run(`${newer}/install.sh --help`).stdout, "usage: install.sh [--uninstall]\n");
    // A link to a release that was removed is nobody's.
    machine.run(`rm ${settings} && rm -r ${older} && ln -sf ${older}/bin/kuma-dp /usr/local/bin/kuma-dp`);
    assert.match(installs(newer), "Next: systemctl enable --now kuma-cp");
    assert.is(machine.run(`${newer}/install.sh --uninstall`).status, 0);
    assert.is(machine.run(`rm -r ${newer}; ls -d /etc/kuma; getent passwd kuma`).stdout, "");
  } finally {
    await machine.stop();
  }
});

test("is installed and uninstalled by hand as in the README", async () => {
  const [install = "", byHand = ""] = shellBlocks("Install");
  const [, uninstall = ""] = shellBlocks("Uninstall");
  const before = files();
  const machine = await debianMachine();
  try {
    const unpacking = forThisMachine(install).replace(/^.*install\.sh\n/m, "");
    const installed = machine.run(`${unpacking}${byHand}`);
    assert.is(installed.status, 0, installed.stderr);
    assert.is(machine.run("kumactl version").stdout, `${version}\n`);
    const verified = machine.run("systemd-analyze verify kuma-cp.service kuma-dp@redis-1.service 2>&1");
    assert.is(verified.stdout, "");
    const uninstalled = machine.run(uninstall);
    assert.is(uninstalled.status, 0, uninstalled.stderr);
  } finally {
    await machine.stop();
  }
  // The directory stays: other programs' completions go there as well.
  const bashCompletion = "+ usr/local/share/bash-completion";
  assert.equal(
    difference(before, files()).filter((line) => !line.startsWith(bashCompletion)),
    [],
  );
});

/** What someone does with the units, each answer after a line with its name. Each wait ends by itself. */
const withUnits = `#!/bin/bash
exec > /root/answers 2>&1
until_true() { for _ in {1..100}; do "$@" > /dev/null 2>&1 && return; sleep 0.1; done; }
is_online() { kumactl inspect dataplanes | grep Online; }
program() { readlink /proc/$(systemctl show --property MainPID --value $1)/exe; }
is_upgraded() { for unit in kuma-cp kuma-dp@redis-1; do [ "$(program $unit)" = /opt/kuma-${version}/bin/kuma ] || return; done; }
was_restarted() { [ "$(systemctl show --property NRestarts --value kuma-dp@redis-1)" = 1 ]; }
cp -al /opt/kuma-${version} /opt/kuma-older
/opt/kuma-older/install.sh
echo KUMA_DATAPLANE_TOKEN_SERVER_LOCAL_SECRETS_TOKEN_FILE=/run/kuma-cp/token > /etc/kuma/kuma-cp.env
systemctl enable --now kuma-cp
until_true kumactl get meshes
echo "# secrets"; kumactl export --secrets /run/kuma-cp/token | grep -c '^type: Secret$'
kumactl apply -f /opt/kuma-${version}/examples/quickstart-redis-1.yaml
systemctl enable --now kuma-dp@redis-1
until_true is_online
echo "# inspect"; kumactl inspect dataplanes
echo "# process"; grep -E '^(NoNewPrivs|Uid):' /proc/$(systemctl show --property MainPID --value kuma-dp@redis-1)/status
echo "# settings"; stat -c %a /run/kuma-dp-redis-1
kill -9 $(systemctl show --property MainPID --value kuma-dp@redis-1)
until_true was_restarted; until_true is_online
echo "# again"; systemctl show --property NRestarts --property ActiveState kuma-dp@redis-1
echo "# files"; (cd /tmp/systemd-private-*-kuma-dp@redis-1.service-*/tmp && pwd)
echo "# install"; /opt/kuma-${version}/install.sh
echo "# before"; program kuma-cp; program kuma-dp@redis-1
systemctl restart kuma-cp kuma-dp@redis-1; until_true is_upgraded
echo "# upgraded"; program kuma-cp; program kuma-dp@redis-1
rm /etc/kuma/kuma-cp.env
echo "# uninstall"; /opt/kuma-${version}/install.sh --uninstall
echo "# left"; systemctl list-units --all --no-legend 'kuma*'
systemctl poweroff --force
`;

test("has units that systemd runs as separate users, and restarts", () => {
  unpack(tarball(process.arch), path.join(debian, "opt"));
  fs.writeFileSync(path.join(debian, "root", "with-units"), withUnits, { mode: 0o755 });
  const units = path.join(debian, "etc", "systemd", "system");
  fs.writeFileSync(path.join(units, "with-units.service"), "[Service]\nType=oneshot\nExecStart=/root/with-units\n");
  fs.mkdirSync(path.join(units, "multi-user.target.wants"), { recursive: true });
  fs.symlinkSync("../with-units.service", path.join(units, "multi-user.target.wants", "with-units.service"));
  const words = ["--quiet", "--register=no", "--keep-unit", "--private-network", "--boot", "--directory", debian];
  const { status } = spawnSync("systemd-nspawn", words, { stdio: "ignore", timeout: 55_000, killSignal: "SIGKILL" });
  const answers = fs.readFileSync(path.join(debian, "root", "answers"), "utf8");
  const answer = (name: string) => answers.split(/^# (\w+)\n/m).find((_, index, all) => all[index - 1] === name) ?? "";
  assert.is(status, 0, answers);
  assert.match(answer("inspect"), /redis-1 .* Online /, answers);
  assert.match(answer("process"), /^NoNewPrivs:\t1$/m, answers);
  const uid = Number(/^Uid:\t(\d+)/m.exec(answer("process"))?.[1]);
  assert.ok(uid >= 61184 && uid <= 65519, "of the range that systemd gives to dynamic users");
  assert.is(answer("settings"), "700\n", answers);
  assert.match(answer("files"), "/tmp/systemd-private-", "where the README finds what a TrafficLog wrote to /tmp");
  assert.match(answer("secrets"), /^[1-9]\d*\n/, answers);
  const programs = (directory: string) => `/opt/${directory}/bin/kuma\n`.repeat(2);
  assert.is(answer("before"), programs("kuma-older"), "what runs goes on until it is started again");
  assert.is(answer("upgraded"), programs(`kuma-${version}`), answers);
  assert.is(answer("again"), "NRestarts=1\nActiveState=active\n", answers);
  assert.is(answer("left"), "", answers);
});

test("is an image that engines can load, in docker save's format and as OCI layout", () => {
  for (const [arch, platform] of [
    ["x64", "amd64"],
    ["arm64", "arm64"],
  ] as const) {
    for (const form of ["docker-archive", "oci-archive"]) {
      const copy = path.join(work, `${form}-${arch}`);
      must("skopeo", ["--insecure-policy", "copy", "--quiet", `${form}:${image(arch)}`, `dir:${copy}`]);
      const inspected = JSON.parse(must("skopeo", ["inspect", "--config", `dir:${copy}`])) as ImageConfig;
      assert.is(inspected.architecture, platform);
    }
    for (const program of ["kuma-cp", "kuma-dp", "kuma-injector", "kuma-init"]) {
      for (const source of [
        `docker-archive:${kubernetesImages(arch)}:localhost/${program}:${version}`,
        `oci-archive:${kubernetesImages(arch)}:${program}:${version}`,
      ]) {
        const inspected = JSON.parse(must("skopeo", ["inspect", "--config", source])) as ImageConfig;
        assert.is(inspected.architecture, platform);
        assert.equal(inspected.config.Entrypoint, [`/usr/local/bin/${program}`]);
      }
    }
  }
});

test("works from the unpacked image, without a shell and not as root, by the README's commands", async () => {
  const { root, config } = unpackImage(process.arch);
  const { User: user, Env: environment, Entrypoint: entrypoint } = config.config;
  assert.match(user, /^[1-9]\d*:[1-9]\d*$/);
  const names = must("find", [root, "-type", "f", "-perm", "/111"])
    .trim()
    .split("\n")
    .map((file) => path.basename(file));
  assert.equal(names.filter((name) => !name.includes(".so")).sort(), ["envoy", "kuma", "mkfifo"]);
  // The README's shell is this machine's; a program in it is one in the image, by the image's entrypoint and argument.
  // Both see one /tmp, the image's; what lies in this machine's is to be found below /mnt.
  const shims = path.join(work, "shims");
  const seen = (file: string) => path.join("/mnt", path.relative(work, file));
  fs.mkdirSync(shims);
  for (const program of ["kuma-cp", "kuma-dp", "kumactl", "kuma-tcp-echo"]) {
    const words = ["/usr/sbin/chroot", `--userspec=${user}`, seen(root), ...entrypoint, program].join(" ");
    const text = `#!/bin/sh\n${environment.join(" ")} HOME=/home/kuma exec ${words} "$@"\n`;
    fs.writeFileSync(path.join(shims, program), text, { mode: 0o755 });
  }
  fs.chmodSync(work, 0o755);
  const machine = await startMachine({
    setUp: `
      mount -t proc proc ${root}/proc
      mount --rbind /dev ${root}/dev
      mount --rbind ${work} /mnt
      mount --bind ${root}/tmp /tmp`,
    shell: ["/usr/bin/env", "-i", `PATH=${seen(shims)}:/usr/bin:/bin`, "bash", "-ec"],
  });
  try {
    assert.is(machine.run("kumactl version").stdout, `${version}\n`);
    await quickstart(machine);
  } finally {
    await machine.stop();
  }
});

test.run();
