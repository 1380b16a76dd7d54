import { toggle } from "../../lib/cli.js";
import { UserError } from "../../lib/errors.js";
import type { PolicyType } from "../../resources/policy-type.js";
import type { ApiClient } from "../api-client.js";
import { connect } from "../connection.js";
import { configDiffSchema, configDumpSchema, policiesSchema, readAnswer } from "../explain/answers.js";
import { configDiffText, configDumpText } from "../explain/config-text.js";
import { policiesText } from "../explain/policies-text.js";
import { command } from "../globals.js";
import { requireMesh } from "../mesh-exists.js";
import { outputFlag, parseFormat, renderValue } from "../output.js";

type Aspect = "policies" | "config" | "diff";

interface Shown {
  readonly text: string;
  /** Notes for standard error. */
  readonly remarks: readonly string[];
}

const ask = (client: ApiClient, mesh: string, name: string, aspect: Aspect): Promise<unknown> =>
  aspect === "policies" ? client.dataplanePolicies(mesh, name) : client.dataplaneConfig(mesh, name, aspect === "diff");

function show(aspect: Aspect, answer: unknown, types: readonly PolicyType[]): Shown {
  switch (aspect) {
    case "policies":
      return { text: policiesText(readAnswer(policiesSchema(types), answer), types), remarks: [] };
    case "config": {
      const { json, remarks } = configDumpText(readAnswer(configDumpSchema, answer));
      return { text: json, remarks };
    }
    case "diff":
      return { text: configDiffText(readAnswer(configDiffSchema, answer)), remarks: [] };
  }
}

interface Flags {
  readonly policies: boolean;
  readonly configDump: boolean;
  readonly diff: boolean;
}

function aspectOf({ policies, configDump, diff }: Flags): Aspect {
  if (policies && (configDump || diff)) {
    throw UserError.of("flag.apart", { flag: "--policies", others: "--config-dump or --diff" });
  }
  if (policies) return "policies";
  if (diff) return "diff";
  if (configDump) return "config";
  throw UserError.of("flag.missing", { flags: "--policies, --config-dump and --diff" });
}

/** `inspect dataplane` for these policy types. */
export const inspectDataplane = (types: readonly PolicyType[]) =>
  command({
    path: "inspect dataplane",
    summary: "Show which policies affect a Dataplane and why, or the configuration sent to its Envoy",
    details:
      "--config-dump prints the configuration last sent to Envoy, in the format of Envoy's own configuration, and on\n" +
      "standard error what Envoy rejects. Private keys are never shown. With -o json or yaml the API's response is printed.",
    examples: [
      "kumactl inspect dataplane backend-1 --policies",
      "kumactl inspect dataplane backend-1 --config-dump | jq .listeners",
      "kumactl inspect dataplane backend-1 --diff",
    ],
    args: ["NAME"],
    flags: {
      output: outputFlag,
      policies: toggle("policies", {
        help: "every policy that affects it, by inbound and outbound, and why it applies",
      }),
      configDump: toggle("config-dump", { help: "the configuration last sent by the Control Plane, as Envoy JSON" }),
      diff: toggle("diff", { help: "what Envoy has not acknowledged" }),
    },
    async run({ args: [name = ""], flags, globals, io, logLevel }) {
      const format = parseFormat(flags.output);
      const aspect = aspectOf(flags);
      const { client } = await connect({ globals, io, logLevel });
      const answer = await ask(client, globals.mesh, name, aspect).catch(async (error: unknown) => {
        await requireMesh(client, globals.mesh);
        throw error;
      });
      if (format !== "table") {
        io.stdout.write(await renderValue(format, answer));
        return;
      }
      const { text, remarks } = show(aspect, answer, types);
      io.stdout.write(text);
      for (const remark of remarks) io.stderr.write(`${remark}\n`);
    },
  });
