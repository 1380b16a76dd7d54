// The architectures that we build for, with the names that Debian, the GNU tools and OCI use for them.

export const architectures = {
  x64: {
    debian: "amd64",
    triplet: "x86_64-linux-gnu",
    emulator: "qemu-x86_64-static",
    platform: { architecture: "amd64", os: "linux" },
  },
  arm64: {
    debian: "arm64",
    triplet: "aarch64-linux-gnu",
    emulator: "qemu-aarch64-static",
    platform: { architecture: "arm64", os: "linux", variant: "v8" },
  },
};

/** The architectures given on a command line; all of them when there are none. */
export function chosenArchitectures(words) {
  for (const word of words) {
    if (Object.hasOwn(architectures, word)) continue;
    throw new Error(`"${word}" is no architecture; there are ${Object.keys(architectures).join(" and ")}`);
  }
  return words.length === 0 ? Object.keys(architectures) : [...new Set(words)];
}
