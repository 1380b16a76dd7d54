import { text } from "../../lib/cli.js";
import type { PolicyType } from "../../resources/policy-type.js";
import { connect } from "../connection.js";
import { readAnswer, trafficSchema } from "../explain/answers.js";
import { trafficText } from "../explain/traffic-text.js";
import { command } from "../globals.js";
import { requireMesh } from "../mesh-exists.js";
import { outputFlag, parseFormat, renderValue } from "../output.js";

/** `explain traffic` for these policy types. */
export const explainTraffic = (types: readonly PolicyType[]) =>
  command({
    path: "explain traffic",
    summary: "Show whether one service may connect to another, why, and whether it works",
    details:
      "Uses the same code that configures Envoy: which permission allows it, or which is missing; which route and\n" +
      "instances it uses; whether both sides are connected and have certificates; and which commands change it.",
    examples: [
      "kumactl explain traffic --from web --to backend",
      "kumactl explain traffic --from web --to backend -o json",
    ],
    flags: {
      output: outputFlag,
      from: text("from", { placeholder: "SERVICE", help: "the service that connects", required: true }),
      to: text("to", { placeholder: "SERVICE", help: "the service that it connects to", required: true }),
    },
    async run({ flags, globals, io, logLevel }) {
      const format = parseFormat(flags.output);
      const { client } = await connect({ globals, io, logLevel });
      const answer = await client.explainTraffic(globals.mesh, flags.from, flags.to).catch(async (error: unknown) => {
        await requireMesh(client, globals.mesh);
        throw error;
      });
      io.stdout.write(
        format === "table"
          ? await trafficText(readAnswer(trafficSchema(types), answer), new Date(), io.color, types)
          : await renderValue(format, answer),
      );
    },
  });
