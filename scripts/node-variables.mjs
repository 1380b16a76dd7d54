// Keeps an executable from seeing the NODE_* variables of its environment.
//
// Node reads most of them before any line of a program runs: NODE_OPTIONS may name a file that is not there,
// NODE_EXTRA_CA_CERTS a certificate to trust, NODE_ICU_DATA a directory without which it does not start. They are meant
// for the Node programs of a machine, and the executable is none as far as its users can tell. Hence its entry point
// leads to a few instructions that take them out of the environment, and from there to Node's own start.
import fs from "node:fs";

/**
 * The code that is executed first. The stack pointer is at argc, followed by argv, a null, the environment and a null.
 * Names that begin with NODE_ are removed, and the others move up. All other registers that the start of a program uses
 * (rdx, x0) stay unchanged. `leap` appends the last instruction, a jump.
 */
const code = {
  // The architecture's number in ELF
  62: {
    instructions: Buffer.from(
      [
        "488b0c24", //       mov  rcx, [rsp]             argc
        "488d74cc10", //     lea  rsi, [rsp+rcx*8+16]    reads here
        "4889f7", //         mov  rdi, rsi               writes here
        "488b06", //   next: mov  rax, [rsi]
        "4883c608", //       add  rsi, 8
        "488907", //         mov  [rdi], rax
        "4885c0", //         test rax, rax
        "7414", //           je   done
        "81384e4f4445", //   cmp  dword [rax], "NODE"
        "7506", //           jne  keep
        "8078045f", //       cmp  byte [rax+4], "_"
        "74e3", //           je   next
        "4883c708", // keep: add  rdi, 8
        "ebdd", //           jmp  next
      ].join(""),
      "hex",
    ),
    leap(distance) {
      const jump = Buffer.from("e900000000", "hex");
      jump.writeInt32LE(distance - jump.length, 1);
      return jump;
    },
  },
  183: {
    instructions: Buffer.from(
      Uint32Array.of(
        0xf94003e9, //       ldr  x9, [sp]               argc
        0x8b296fea, //       add  x10, sp, x9, lsl #3
        0x9100414a, //       add  x10, x10, #16          reads here
        0xaa0a03eb, //       mov  x11, x10               writes here
        0x5289e9cc, //       mov  w12, #0x4f4e           "NO"
        0x72a8a88c, //       movk w12, #0x4544, lsl #16  "DE"
        0xf840854d, // next: ldr  x13, [x10], #8
        0xf900016d, //       str  x13, [x11]
        0xb400012d, //       cbz  x13, done
        0xb94001ae, //       ldr  w14, [x13]
        0x6b0c01df, //       cmp  w14, w12
        0x54000081, //       b.ne keep
        0x394011ae, //       ldrb w14, [x13, #4]
        0x71017ddf, //       cmp  w14, #0x5f             "_"
        0x54ffff00, //       b.eq next
        0x9100216b, // keep: add  x11, x11, #8
        0x17fffff6, //       b    next
      ).buffer,
    ),
    leap(distance) {
      const longest = 2 ** 27;
      if (Math.abs(distance) >= longest) throw new Error(`the start of the program is too far away: ${distance} bytes`);
      const jump = Buffer.alloc(4);
      jump.writeUInt32LE((0x14000000 | ((distance >> 2) & 0x3ffffff)) >>> 0);
      return jump;
    },
  },
};

const pageBytes = 4096;
const loaded = 1;
const executableFlag = 1;
/** The offset of the entry point in a 64-bit ELF file. */
const entryAt = 24;

/** The segments of an ELF file that are loaded, with the offsets of their headers. */
function segmentsOf(elf) {
  const [start, size, count] = [Number(elf.readBigUInt64LE(32)), elf.readUInt16LE(54), elf.readUInt16LE(56)];
  return Array.from({ length: count }, (_, index) => start + index * size)
    .filter((at) => elf.readUInt32LE(at) === loaded)
    .map((at) => ({
      at,
      executable: (elf.readUInt32LE(at + 4) & executableFlag) !== 0,
      offset: Number(elf.readBigUInt64LE(at + 8)),
      address: Number(elf.readBigUInt64LE(at + 16)),
      fileBytes: Number(elf.readBigUInt64LE(at + 32)),
    }));
}

/** The free space behind a code segment: the rest of its last page is loaded with it, and no other segment begins there. */
function room(elf, bytes) {
  const segments = segmentsOf(elf);
  for (const { at, executable, offset, address, fileBytes } of segments) {
    const end = Math.ceil((offset + fileBytes) / 16) * 16;
    const page = Math.ceil((offset + fileBytes) / pageBytes) * pageBytes;
    const next = Math.min(
      page,
      ...segments.map((other) => other.offset).filter((other) => other >= offset + fileBytes),
    );
    if (!executable || end + bytes > next) continue;
    if (elf.subarray(end, end + bytes).every((byte) => byte === 0)) {
      return { header: at, offset: end, address: address + end - offset, length: end + bytes - offset };
    }
  }
  throw new Error(`the executable has no room for ${bytes} bytes of code`);
}

function codeOf(elf) {
  const known = code[elf.readUInt16LE(18)];
  if (known === undefined || elf.readUInt32BE(0) !== 0x7f454c46)
    throw new Error("not an executable of a known machine");
  return known;
}

/** Patches the executable `file` so that it does not see variables whose names begin with NODE_. */
export function hideNodeVariables(file) {
  const elf = fs.readFileSync(file);
  const { instructions, leap } = codeOf(elf);
  const entry = Number(elf.readBigUInt64LE(entryAt));
  const longest = instructions.length + leap(0).length;
  const { header, offset, address, length } = room(elf, longest);
  Buffer.concat([instructions, leap(entry - address - instructions.length)]).copy(elf, offset);
  for (const sizeAt of [32, 40]) elf.writeBigUInt64LE(BigInt(length), header + sizeAt);
  elf.writeBigUInt64LE(BigInt(address), entryAt);
  fs.writeFileSync(file, elf);
}

/** Reverts `hideNodeVariables` in a copy, for measurements that preload a probe with NODE_OPTIONS. */
export function showNodeVariables(file) {
  const elf = fs.readFileSync(file);
  const { instructions, leap } = codeOf(elf);
  const address = Number(elf.readBigUInt64LE(entryAt));
  const segment = segmentsOf(elf).find(
    ({ address: start, fileBytes }) => start <= address && address < start + fileBytes,
  );
  const offset = segment === undefined ? 0 : segment.offset + address - segment.address;
  if (!elf.subarray(offset, offset + instructions.length).equals(instructions)) {
    throw new Error(`${file} does not hide NODE_* variables`);
  }
  const jump = elf.subarray(offset + instructions.length);
  // A leap over zero bytes is the bare instruction; the rest is the distance.
  const distance = jump[0] === 0xe9 ? jump.readInt32LE(1) + leap(0).length : ((jump.readUInt32LE() << 6) >> 6) * 4;
  elf.writeBigUInt64LE(BigInt(address + instructions.length + distance), entryAt);
  fs.writeFileSync(file, elf);
}
