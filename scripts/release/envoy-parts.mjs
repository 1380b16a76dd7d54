// Finds the libraries that are linked into Envoy by inspecting its binary, because nothing that comes with it lists
// them.
import fs from "node:fs";

/**
 * Libraries with what only they leave in a binary (a source path, a type name or a message) and, if present, their
 * version. BoringSSL's licence is a mixture without an SPDX identifier.
 */
const known = [
  { name: "abseil-cpp", home: "abseil/abseil-cpp", license: "Apache-2.0", mark: "external/abseil-cpp/" },
  { name: "antlr4-cpp-runtime", home: "antlr/antlr4", license: "BSD-3-Clause", mark: "N6antlr4" },
  { name: "boringssl", home: "google/boringssl", mark: "external/boringssl/" },
  { name: "brotli", home: "google/brotli", license: "MIT", mark: "BROTLI_" },
  { name: "c-ares", home: "c-ares/c-ares", license: "MIT", mark: "c-ares library initialization not yet performed" },
  { name: "cel-cpp", home: "google/cel-cpp", license: "Apache-2.0", mark: "external/cel-cpp/" },
  { name: "cpp2sky", home: "SkyAPM/cpp2sky", license: "Apache-2.0", mark: "N7cpp2sky" },
  { name: "dd-trace-cpp", home: "DataDog/dd-trace-cpp", license: "Apache-2.0", mark: "N7datadog7tracing" },
  { name: "fmt", home: "fmtlib/fmt", license: "MIT", mark: "N3fmt3v" },
  { name: "googleurl", home: "google/gurl", license: "BSD-3-Clause", mark: "N3url14RawCanonOutput" },
  { name: "grpc", home: "grpc/grpc", license: "Apache-2.0", mark: "external/com_github_grpc_grpc/" },
  {
    name: "grpc-httpjson-transcoding",
    home: "grpc-ecosystem/grpc-httpjson-transcoding",
    license: "Apache-2.0",
    mark: "N6google4grpc11transcoding",
  },
  { name: "hessian2-codec", home: "alibaba/hessian2-codec", license: "Apache-2.0", mark: "N8Hessian2" },
  { name: "libc++", home: "llvm/llvm-project", license: "Apache-2.0 WITH LLVM-exception", mark: "NSt3__1" },
  {
    name: "libevent",
    home: "libevent/libevent",
    license: "BSD-3-Clause",
    mark: "Added a signal to event base %p with signals already added to event_base %p.",
  },
  {
    name: "libmaxminddb",
    home: "maxmind/libmaxminddb",
    license: "Apache-2.0",
    mark: "An attempt to read data from the MaxMind DB file failed",
  },
  { name: "luajit", home: "LuaJIT/LuaJIT", license: "MIT", mark: "LuaJIT 2.", version: /LuaJIT (2\.\d+\.\d+)/ },
  { name: "msgpack-cxx", home: "msgpack/msgpack-c", license: "BSL-1.0", mark: "N7msgpack" },
  { name: "nghttp2", home: "nghttp2/nghttp2", license: "MIT", mark: "Received bad client magic byte string" },
  {
    name: "nlohmann-json",
    home: "nlohmann/json",
    license: "MIT",
    mark: "N8nlohmann16json_abi_v",
    version: /16json_abi_v(\d_\d\d_\d)/,
  },
  {
    name: "opentelemetry-proto",
    home: "open-telemetry/opentelemetry-proto",
    license: "Apache-2.0",
    mark: "N13opentelemetry5proto",
  },
  { name: "proto-field-extraction", home: "grpc-ecosystem/proto-field-extraction", license: "Apache-2.0" },
  {
    name: "proto_processing_lib",
    home: "grpc-ecosystem/proto_processing_lib",
    license: "Apache-2.0",
    mark: "proto_processing_lib",
  },
  {
    name: "protobuf",
    home: "protocolbuffers/protobuf",
    license: "BSD-3-Clause",
    mark: "external/com_google_protobuf/",
  },
  {
    name: "proxy-wasm-cpp-host",
    home: "proxy-wasm/proxy-wasm-cpp-host",
    license: "Apache-2.0",
    mark: "N10proxy_wasm",
  },
  { name: "quiche", home: "google/quiche", license: "BSD-3-Clause", mark: "external/quiche/" },
  { name: "re2", home: "google/re2", license: "BSD-3-Clause", mark: "N3re23RE2E" },
  {
    name: "rust-standard-library",
    home: "rust-lang/rust",
    license: "MIT OR Apache-2.0",
    mark: "/rustc/",
    version: /\/rustc\/([0-9a-f]{40})\//,
  },
  { name: "simdutf", home: "simdutf/simdutf", license: "MIT OR Apache-2.0", mark: "N7simdutf" },
  { name: "spdlog", home: "gabime/spdlog", license: "MIT", mark: "N6spdlog" },
  { name: "tclap", home: "mirror/tclap", license: "MIT", mark: "N5TCLAP" },
  { name: "tcmalloc", home: "google/tcmalloc", license: "Apache-2.0", mark: "external/tcmalloc/" },
  { name: "v8", home: "v8/v8", license: "BSD-3-Clause", mark: "external/v8/" },
  { name: "xds", home: "cncf/xds", license: "Apache-2.0", mark: "xds.core.v3" },
  { name: "yaml-cpp", home: "jbeder/yaml-cpp", license: "MIT", mark: "N4YAML" },
  { name: "zlib-ng", home: "zlib-ng/zlib-ng", license: "Zlib", mark: ".zlib-ng" },
  { name: "zstd", home: "facebook/zstd", license: "BSD-3-Clause", mark: "ZSTD_trace_compress_begin" },
].map((part) => ({ mark: `external/${part.name}/`, ...part }));

const crates = "envoy_rust_crate_index__";

function described({ name, home, license, version }, text) {
  const found = version?.exec(text)?.[1].replaceAll("_", ".");
  const purl = `pkg:github/${home.toLowerCase()}${found === undefined ? "" : `@${found}`}`;
  return { name, purl, ...(found === undefined ? {} : { version: found }), ...(license ? { license } : {}) };
}

/** Bazel's directory names for external sources, which include the version for crates. There is no gap between strings. */
function foreign(text) {
  const names = new Set(Array.from(text.matchAll(/external\/([\w.+~-]+)\//g), ([, name]) => name));
  return [...names].filter((name) => !known.some(({ mark }) => mark === `external/${name}/`));
}

function asPart(name) {
  const [, crate, version] = new RegExp(`^${crates}(.+?)-(\\d.*)$`).exec(name) ?? [];
  return crate === undefined ? { name } : { name: crate, version, purl: `pkg:cargo/${crate}@${version}` };
}

/**
 * The libraries in an Envoy binary, sorted by name: name and, if known, version, purl and licence (an SPDX expression).
 * Throws when a known library is not found, because then `known` is out of date.
 */
export function envoyParts(file) {
  const text = fs.readFileSync(file, "latin1");
  const lost = known.filter(({ mark }) => !text.includes(mark));
  if (lost.length > 0) {
    const names = lost.map(({ name }) => name).join(", ");
    throw new Error(
      `${file} shows nothing of ${names}: see by what it is to be known in scripts/release/envoy-parts.mjs`,
    );
  }
  const parts = [...known.map((part) => described(part, text)), ...foreign(text).map(asPart)];
  return parts.sort((a, b) => (a.name < b.name ? -1 : 1));
}
