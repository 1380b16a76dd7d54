import { UserError } from "../../lib/errors.js";
import { type Check, failure, type Outcome, success } from "./check.js";
import { binaryPath } from "./context.js";

/** The oldest versions of glibc that Envoy's builds and the runtime in our executable support. */
const needed = [
  { program: "Envoy", version: [2, 31] },
  { program: "kuma", version: [2, 28] },
] as const;

const otherSystem =
  "use a newer system, such as Debian 11, Ubuntu 20.04, RHEL 9 or later; not Alpine, which has musl instead of glibc";

/** Which of the programs can run with this version of glibc. */
function libcOutcome(version: string | undefined): Outcome {
  if (version === undefined) return failure("this system has no glibc", otherSystem);
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const short = needed.filter(({ version: [least, lesser] }) => major < least || (major === least && minor < lesser));
  if (short.length === 0) return success(`glibc ${version}`);
  const programs = short.map(({ program, version: least }) => `${program} needs ${least.join(".")}`);
  return failure(`glibc is ${version}, but ${programs.join(" and ")} or newer`, otherSystem);
}

const libc: Check = {
  id: "libc",
  anchor: "check-libc",
  description: "the C library is new enough",
  run: ({ machine }) => libcOutcome(machine.glibc()),
};

const envoy: Check = {
  id: "envoy",
  anchor: "check-envoy",
  description: "Envoy can run",
  async run({ machine }) {
    let binary: string;
    try {
      binary = machine.findEnvoy();
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      if (machine.env[binaryPath]) {
        return failure(error.message, "set it to an Envoy of the same release, or unset it: kuma-dp would not start");
      }
      // Not an error on a machine that only has a control plane or kumactl.
      const fix =
        "to run dataplanes here, put the `envoy` of the same release next to kuma-dp, or set --binary-path of kuma-dp";
      const reason = "there is no executable Envoy in PATH, next to kuma-dp or in the working directory";
      return { result: "warning", reasons: [reason], fix };
    }
    const reason = await machine.diagnoseEnvoy(binary);
    if (reason === undefined) return success(binary);
    return failure(
      `${binary} cannot run here: ${reason}`,
      "put the `envoy` of this release, built for this architecture, there",
    );
  },
};

export const machineChecks: readonly Check[] = [libc, envoy];
