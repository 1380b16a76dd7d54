// Generates the protobuf code that src/ imports, from the .proto sources inside
// @grpc/grpc-js-xds: protobuf-es for Envoy's configuration model, google-protobuf
// classes for the discovery envelopes. The result is cached by the content of its inputs.
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

/** The messages a generated or raw (ProxyTemplate) Envoy resource may hold; imports follow by themselves. */
const model = [
  "envoy/config/bootstrap/v3/bootstrap.proto",
  "envoy/config/cluster/v3/cluster.proto",
  "envoy/config/endpoint/v3/endpoint.proto",
  "envoy/config/listener/v3/listener.proto",
  "envoy/config/route/v3/route.proto",
  "envoy/config/route/v3/scoped_route.proto",
  "envoy/config/grpc_credential/v3/file_based_metadata.proto",
  "envoy/config/trace/v3/zipkin.proto",
  "envoy/extensions/access_loggers/file/v3/file.proto",
  "envoy/extensions/access_loggers/grpc/v3/als.proto",
  "envoy/extensions/clusters/aggregate/v3/cluster.proto",
  "envoy/extensions/filters/http/fault/v3/fault.proto",
  "envoy/extensions/filters/http/lua/v3/lua.proto",
  "envoy/extensions/filters/http/rbac/v3/rbac.proto",
  "envoy/extensions/filters/http/router/v3/router.proto",
  "envoy/extensions/filters/listener/original_dst/v3/original_dst.proto",
  "envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector.proto",
  "envoy/extensions/filters/network/direct_response/v3/config.proto",
  "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.proto",
  "envoy/extensions/filters/network/local_ratelimit/v3/local_rate_limit.proto",
  "envoy/extensions/filters/network/rbac/v3/rbac.proto",
  "envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.proto",
  "envoy/extensions/transport_sockets/tls/v3/secret.proto",
  "envoy/extensions/transport_sockets/tls/v3/tls.proto",
  "envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer.proto",
  "envoy/extensions/upstreams/http/v3/http_protocol_options.proto",
];
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
    if (text === undefined) throw new Error(`${name} is not among the .proto files of @grpc/grpc-js-xds`);
    found.set(name, text);
    for (const [, imported] of text.matchAll(/^import (?:public )?"([^"]+)";/gm)) queue.push(imported);
  }
  return found;
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

function run(template, files, out) {
  const work = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-protos-"));
  try {
    for (const [name, text] of files) {
      const file = path.join(work, name);
      fs.mkdirSync(path.dirname(file), { recursive: true });
      fs.writeFileSync(file, corrections[name]?.(text) ?? text);
    }
    fs.writeFileSync(path.join(work, "buf.yaml"), "version: v2\n");
    const config = JSON.stringify({ version: "v2", plugins: [{ ...template, out }] });
    execFileSync(buf, ["generate", "--template", config, work], {
      cwd: work,
      stdio: ["ignore", "inherit", "inherit"],
    });
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}

/** One module that lists every generated file, so that a registry of all messages can be made from it. */
function writeIndex(out, names) {
  const lines = [...names].sort().map((name, index) => {
    const stem = name.replace(/\.proto$/, "");
    const symbol = `file_${stem.replaceAll(/[/.-]/g, "_")}`;
    return { load: `import { ${symbol} as f${index} } from "./${stem}_pb.js";`, use: `  f${index},` };
  });
  fs.writeFileSync(
    path.join(out, "files.ts"),
    `${lines.map((line) => line.load).join("\n")}\n\nexport const files = [\n${lines.map((line) => line.use).join("\n")}\n];\n`,
  );
}

/** Generates what is missing or stale; tells whether there was anything to do. */
export function generate() {
  const modelFiles = closure(model);
  const envelopeFiles = closure(envelopes);
  const hash = createHash("sha256").update(fs.readFileSync(fileURLToPath(import.meta.url)));
  for (const [name, text] of [...modelFiles, ...envelopeFiles]) hash.update(name).update("\0").update(text);
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
    writeIndex(
      es,
      [...modelFiles.keys()].filter((name) => fs.existsSync(path.join(es, name.replace(/\.proto$/, "_pb.ts")))),
    );
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
