import { UserError } from "../../lib/errors.js";
import { describeAuthority } from "../authority.js";
import { connect } from "../connection.js";
import { command } from "../globals.js";

export const manageCaRotate = command({
  path: "manage ca rotate",
  summary: "Replace the root certificate of a mesh's CA without breaking a connection",
  details:
    "Adds a new root, which signs as soon as every connected dataplane trusts it; the old one is removed when all of its\n" +
    "certificates have expired. The Control Plane does all this by itself: `kumactl get meshes` shows its progress.\n" +
    "While a rotation is in progress, this command only shows its state.",
  examples: ["kumactl manage ca rotate --mesh demo"],
  flags: {},
  async run({ globals: { mesh, ...globals }, io, logLevel }) {
    const { client } = await connect({ globals, io, logLevel });
    const rotated = await client.rotateAuthority(mesh);
    if (rotated === undefined) throw UserError.of("resource.missing", { type: "Mesh", name: mesh });
    const { begun, status } = rotated;
    io.stdout.write(
      `${begun ? "the rotation has begun" : "a rotation is already in progress"} in mesh "${mesh}"\n` +
        `${describeAuthority(status)}\n`,
    );
  },
});
