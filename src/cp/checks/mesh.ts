import { envoyLogFormat } from "../../envoy/access-logs.js";
import type { Cause } from "../../lib/errors.js";
import { unknownOperator } from "../../resources/log-format.js";
import type { Mesh } from "../../resources/mesh.js";
import type { BundledEnvoy } from "./bundled-envoy.js";
import type { Turns } from "./turns.js";

const extensions = "type.googleapis.com/envoy.extensions";
const nobody = { sourceAddress: "192.0.2.1", sourceService: "source", destinationService: "destination" };

/** A configuration that logs by these formats, to nowhere. */
function logging(formats: readonly string[]): unknown {
  const accessLog = formats.map((format) => ({
    name: "log",
    typedConfig: {
      "@type": `${extensions}.access_loggers.file.v3.FileAccessLog`,
      path: "/dev/null",
      logFormat: { textFormatSource: { inlineString: envoyLogFormat(format, nobody) } },
    },
  }));
  const proxy = {
    "@type": `${extensions}.filters.network.tcp_proxy.v3.TcpProxy`,
    statPrefix: "question",
    cluster: "question",
    accessLog,
  };
  const listener = {
    name: "question",
    // A port that is never bound: nothing is served by asking.
    address: { socketAddress: { address: "127.0.0.1", portValue: 1 } },
    filterChains: [{ filters: [{ name: "proxy", typedConfig: proxy }] }],
  };
  const cluster = { name: "question", type: "STATIC", connectTimeout: "1s" };
  return { staticResources: { listeners: [listener], clusters: [cluster] } };
}

interface Format {
  readonly field: string;
  readonly format: string;
}

/** The first of the formats that Envoy refuses, and why. */
async function askEnvoy(formats: readonly Format[], envoy: BundledEnvoy): Promise<Cause | undefined> {
  // One question will do as a rule: refusals are rare.
  if ((await envoy.refusal(logging(formats.map(({ format }) => format)))) === undefined) return undefined;
  for (const { field, format } of formats) {
    const refusal = await envoy.refusal(logging([format]));
    if (refusal === undefined) continue;
    return { field, message: unknownOperator(format) ?? `${await envoy.label()} refuses it: ${refusal}` };
  }
  return undefined;
}

/**
 * Puts the log formats of a Mesh to the Envoy beside this program: one operator that Envoy doesn't know or takes otherwise
 * would cost every listener that logs. Without an Envoy to ask, what we don't know is refused.
 */
export function meshCheck(envoy: BundledEnvoy | undefined, turns: Turns): (mesh: Mesh) => Promise<readonly Cause[]> {
  return async ({ logging: { backends = [] } = {} }) => {
    const formats = backends.flatMap(({ format = "" }, index) =>
      format === "" ? [] : [{ field: `logging.backends[${index}].format`, format }],
    );
    if (formats.length === 0) return [];
    if (envoy !== undefined && (await envoy.label()) !== undefined) {
      const answer = await turns(async () => [await askEnvoy(formats, envoy)]);
      if (answer !== undefined) return answer.filter((cause) => cause !== undefined);
    }
    return formats.flatMap(({ field, format }) => {
      const message = unknownOperator(format);
      return message === undefined ? [] : [{ field, message }];
    });
  };
}
