// Generates the protobuf code that src/ imports, from the .proto sources inside
// @grpc/grpc-js-xds: protobuf-es for the part of Envoy's configuration model that we write,
// the descriptors of all of it for what users write, google-protobuf classes for the
// discovery envelopes. The result is cached by the content of its inputs.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const modules = path.join(here, "..", "node_modules");
const sources = path.join(modules, "@grpc", "grpc-js-xds", "deps");
const roots = ["envoy-api", "xds", "googleapis", "protoc-gen-validate"].map((dir) => path.join(sources, dir));

/** The messages we generate; imports follow by themselves. */
const model = [
  "envoy/config/cluster/v3/cluster.proto",
  "envoy/config/endpoint/v3/endpoint.proto",
  "envoy/config/listener/v3/listener.proto",
  "envoy/config/grpc_credential/v3/file_based_metadata.proto",
  "envoy/extensions/access_loggers/file/v3/file.proto",
  "envoy/extensions/filters/network/rbac/v3/rbac.proto",
  "envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.proto",
  "envoy/extensions/transport_sockets/tls/v3/secret.proto",
  "envoy/extensions/transport_sockets/tls/v3/tls.proto",
  "envoy/service/health/v3/hds.proto",
];
/** What a raw (ProxyTemplate) resource may hold: the whole of Envoy's v3 configuration, and any extension's as a Struct. */
const configuration =
  /^envoy\/(config|extensions|type)\/.*v3\/[^/]+\.proto$|^(xds|udpa)\/type\/v\d\/typed_struct\.proto$/;
/** What travels on a discovery stream around the resources. */
const envelopes = ["envoy/service/discovery/v3/discovery.proto"];

// The binary's own package, not the wrapper: that one asks for the packages of platforms we don't build on.
const bufPackage = `@bufbuild/buf-linux-${process.arch === "arm64" ? "aarch64" : "x64"}`;
const buf = path.join(modules, bufPackage, "bin", "buf");

const read = (name) => {
  for (const root of roots) {
    const file = path.join(root, name);
    if (fs.existsSync(file)) return fs.readFileSync(file, "utf8");
  }
  return undefined;
};

/** The named files and everything they import, as name → text; google/protobuf/* comes with buf. */
function closure(names) {
  const found = new Map();
  const queue = [...names];
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (found.has(name) || name.startsWith("google/protobuf/")) continue;
    const text = read(name);
    if (text === undefined) throw new Missing(name);
    found.set(name, text);
    for (const [, imported] of text.matchAll(/^import (?:public )?"([^"]+)";/gm)) queue.push(imported);
  }
  return found;
}

class Missing extends Error {
  constructor(name) {
    super(`${name} is not among the .proto files of @grpc/grpc-js-xds`);
  }
}

/** All files of Envoy's v3 configuration, but those few that build on files the package leaves out. */
function wholeConfiguration() {
  const names = roots
    .flatMap((root) => fs.readdirSync(root, { recursive: true }))
    .filter((name) => configuration.test(name));
  const files = new Map();
  for (const name of names.sort()) {
    try {
      for (const [imported, text] of closure([name])) files.set(imported, text);
    } catch (error) {
      if (!(error instanceof Missing)) throw error;
    }
  }
  return files;
}

/**
 * The bundled validate.proto is older than the annotations in Envoy's files, which use
 * `ignore_empty`; any free field number compiles, since nothing reads the rules.
 */
function withIgnoreEmpty(text) {
  return text.replace(/^message \w+Rules \{$/gm, (line) =>
    line.includes("FieldRules") || line.includes("MessageRules")
      ? line
      : `${line}\n    optional bool ignore_empty = 990;`,
  );
}

/**
 * What Envoy 1.37 added to the TCP proxy, later than the bundled files: without it an upstream connection is opened
 * before the client's certificate has been seen. Numbers and names are those of Envoy's API.
 */
function withConnectMode(text) {
  const fields = `  UpstreamConnectMode upstream_connect_mode = 21;
  google.protobuf.UInt32Value max_early_data_bytes = 22;
`;
  const mode = `
enum UpstreamConnectMode {
  IMMEDIATE = 0;
  ON_DOWNSTREAM_DATA = 1;
  ON_DOWNSTREAM_TLS_HANDSHAKE = 2;
}
`;
  const end = text.lastIndexOf("}");
  return text.slice(0, end) + fields + text.slice(end) + mode;
}

/** Corrections to bundled files, by name. */
const corrections = {
  "validate/validate.proto": withIgnoreEmpty,
  "envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.proto": withConnectMode,
};

function packageVersion(name) {
  return JSON.parse(fs.readFileSync(path.join(modules, name, "package.json"), "utf8")).version;
}

/**
 * protoc-gen-ts writes imports without an extension, which Node's resolution refuses, and code that
 * strict settings reject; nobody edits it, so nobody needs to hear of the latter.
 */
function finishEnvelopes(out) {
  for (const entry of fs.readdirSync(out, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = path.join(entry.parentPath, entry.name);
    const text = fs.readFileSync(file, "utf8").replace(/^(import \* as \w+ from "\.[^"]*)";$/gm, '$1.js";');
    fs.writeFileSync(file, `// @ts-nocheck\n${text}`);
  }
}

/** Runs buf over the files. */
function runBuf(files, ...args) {
  const work = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-protos-"));
  try {
    for (const [name, text] of files) {
      const file = path.join(work, name);
      fs.mkdirSync(path.dirname(file), { recursive: true });
      fs.writeFileSync(file, corrections[name]?.(text) ?? text);
    }
    fs.writeFileSync(path.join(work, "buf.yaml"), "version: v2\n");
    execFileSync(buf, [...args, work], { cwd: work, stdio: ["ignore", "inherit", "inherit"] });
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}

function run(template, files, out) {
  runBuf(files, "generate", "--template", JSON.stringify({ version: "v2", plugins: [{ ...template, out }] }));
}

/** One module with the descriptors of the files as a FileDescriptorSet: parsed when the first raw resource comes. */
function writeDescriptors(files, out) {
  const set = path.join(out, "descriptors.binpb");
  runBuf(files, "build", "--as-file-descriptor-set", "--exclude-source-info", "-o", set);
  const text = fs.readFileSync(set, "base64");
  fs.rmSync(set);
  fs.writeFileSync(path.join(out, "descriptors.ts"), `export const descriptors: string =\n  "${text}";\n`);
}

/** Generates what is missing or stale; tells whether there was anything to do. */
export function generate() {
  const modelFiles = closure(model);
  const allFiles = wholeConfiguration();
  const envelopeFiles = closure(envelopes);
  const hash = createHash("sha256").update(fs.readFileSync(fileURLToPath(import.meta.url)));
  for (const [name, text] of [...modelFiles, ...allFiles, ...envelopeFiles])
    hash.update(name).update("\0").update(text);
  for (const name of [bufPackage, "@bufbuild/protoc-gen-es", "protoc-gen-ts"]) hash.update(packageVersion(name));
  const wanted = hash.digest("hex");

  const stamp = path.join(here, ".generated");
  if (fs.existsSync(stamp) && fs.readFileSync(stamp, "utf8") === wanted) return false;

  // Made beside and renamed: whoever imports the present code meanwhile keeps a whole one.
  const work = fs.mkdtempSync(path.join(here, ".work-"));
  try {
    const bin = path.join(modules, ".bin");
    const es = path.join(work, "es");
    const envelope = path.join(work, "envelope");
    run({ local: path.join(bin, "protoc-gen-es"), opt: ["target=ts", "import_extension=js"] }, modelFiles, es);
    run(
      { local: path.join(bin, "protoc-gen-ts"), opt: ["no_grpc"], include_imports: true, include_wkt: true },
      envelopeFiles,
      envelope,
    );
    finishEnvelopes(envelope);
    writeDescriptors(allFiles, es);
    fs.rmSync(stamp, { force: true });
    for (const name of ["es", "envelope"]) {
      fs.rmSync(path.join(here, name), { recursive: true, force: true });
      fs.renameSync(path.join(work, name), path.join(here, name));
    }
    fs.writeFileSync(stamp, wanted);
    return true;
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) generate();
