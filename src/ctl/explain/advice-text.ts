import { own } from "../../lib/own.js";
import { toYaml } from "../yaml.js";
import type { Traffic } from "./answers.js";

type Advice = NonNullable<Traffic["advice"]>[number];
type Problem = NonNullable<Traffic["problems"]>[number];

/** Words that need no quoting in a shell. */
const plain = /^[A-Za-z0-9_@%+=:,./-]+$/;

/** Quotes a word for a POSIX shell. */
const quoted = (word: string) => (plain.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

const effects: Readonly<Record<string, string>> = {
  allow: "allow it",
  deny: "deny it",
  enforce: "enforce permissions: traffic that no permission allows is then denied",
};

/** kumactl's name for each type that advice can be about. */
const words: Readonly<Record<string, string>> = { TrafficPermission: "traffic-permission", Mesh: "mesh" };

async function command(advice: Advice, mtls: boolean): Promise<string[]> {
  const { apply, delete: proposed, alsoAllowsOthers = false, effect = "" } = advice;
  const gone = alsoAllowsOthers ? undefined : proposed;
  const narrow = alsoAllowsOthers ? proposed : advice.narrow;
  const title = `# ${own(effects, effect) ?? effect}${effect === "allow" && !mtls ? " while mTLS is on, too" : ""}`;
  if (apply !== undefined) {
    const yaml = (await toYaml(apply)).trimEnd();
    return [title, "kumactl apply -f - <<'EOF'", ...yaml.split("\n"), "EOF"];
  }
  if (narrow !== undefined) {
    const { type = "", mesh = "", name = "" } = narrow;
    const why = `${type} ${name} allows other traffic, too: narrow its selectors, and apply it`;
    return [`${title}: ${why}`, `kumactl get ${own(words, type) ?? type}s --mesh ${quoted(mesh)} -o yaml`];
  }
  if (gone === undefined) return [];
  const { type = "", mesh = "", name = "" } = gone;
  return [title, `kumactl delete ${own(words, type) ?? type} ${quoted(name)} --mesh ${quoted(mesh)}`];
}

/** The fix for a problem other than missing permissions; the commands contain `mesh`, `to` and the dataplane. */
function remedy({ code, dataplanes = [] }: Problem, { mesh = "", to = "", mtls = false }: Traffic): string[] {
  const [first = ""] = dataplanes;
  const name = quoted(first);
  const inMesh = `--mesh ${quoted(mesh)}`;
  switch (code) {
    case "offline":
      return [
        `# start the sidecar of ${first}`,
        `kuma-dp run --name=${name} --mesh=${quoted(mesh)}${mtls ? " --dataplane-token-file=FILE" : ""}`,
      ];
    case "no-outbound":
      return [
        `# give ${first} an outbound: in its Dataplane, below networking.outbound`,
        "# - interface: :PORT",
        `#   service: ${to}`,
        `kumactl get dataplanes ${inMesh} -o yaml`,
      ];
    case "certificate-missing":
    case "certificate-expired":
    case "certificate-refused":
    case "certificate-outdated":
      return [
        `# a token for ${first}, for its kuma-dp run --dataplane-token-file=FILE`,
        `kumactl generate dataplane-token --name=${name} --mesh=${quoted(mesh)} > FILE`,
      ];
    case "refused":
    case "pending":
      return [`# what Envoy of ${first} has not acknowledged`, `kumactl inspect dataplane ${name} ${inMesh} --diff`];
    case "no-listener":
    case "raw":
      return [`# which ProxyTemplate that is`, `kumactl inspect dataplane ${name} ${inMesh} --policies`];
    case "nowhere":
    case "elsewhere":
      return ["# look at the route", `kumactl get traffic-routes ${inMesh} -o yaml`];
    case "no-endpoint":
      return ["# which instances there are, and their tags", `kumactl inspect dataplanes ${inMesh}`];
    default:
      return [];
  }
}

/** Commands that change the verdict and commands for each problem, in blocks that can be pasted into a shell. */
export async function adviceBlocks(traffic: Traffic): Promise<string[]> {
  const advice = await Promise.all((traffic.advice ?? []).map((one) => command(one, traffic.mtls === true)));
  const remedies = (traffic.problems ?? []).map((problem) => remedy(problem, traffic));
  const blocks = [...advice, ...remedies].filter((lines) => lines.length > 0);
  return [...new Set(blocks.map((lines) => lines.map((line) => `${line}\n`).join("")))];
}
