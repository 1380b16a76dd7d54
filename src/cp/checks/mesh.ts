import { envoyLogFormat } from "../../envoy/access-logs.js";
import type { Cause } from "../../lib/errors.js";
import type { Semaphore } from "../../lib/semaphore.js";
import { unknownOperator } from "../../resources/log-format.js";
import type { Mesh } from "../../resources/mesh.js";
import type { BundledEnvoy } from "./bundled-envoy.js";

const extensions = "type.googleapis.com/envoy.extensions";
const nobody = { sourceAddress: "192.0.2.1", sourceService: "source", destinationService: "destination" };

/** A configuration that uses these log formats, without writing anywhere. */
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
    // Never bound: validation does not open listeners.
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

/** The first format that Envoy rejects, and why. */
async function askEnvoy(formats: readonly Format[], envoy: BundledEnvoy): Promise<Cause | undefined> {
  // Usually one run is enough: rejections are rare.
  const ask = (some: readonly Format[]) => envoy.refusal(logging(some.map(({ format }) => format)));
  if ((await ask(formats)) === undefined) return undefined;
  // Bisects to the first rejected one: seven runs for a hundred formats.
  let suspects = formats;
  while (suspects.length > 1) {
    const half = suspects.slice(0, suspects.length >> 1);
    suspects = (await ask(half)) === undefined ? suspects.slice(half.length) : half;
  }
  const [suspect] = suspects;
  const refusal = suspect && (await ask([suspect]));
  if (suspect === undefined || refusal === undefined) return undefined;
  const { field, format } = suspect;
  return { field, message: unknownOperator(format) ?? `${await envoy.label()} refuses it: ${refusal}` };
}

/**
 * Validates the log formats of a Mesh with the Envoy beside this program: an operator that Envoy doesn't know or reads
 * differently would break every listener that logs. Without an Envoy, unknown operators are rejected.
 */
export function meshCheck(
  envoy: BundledEnvoy | undefined,
  semaphore: Semaphore,
): (mesh: Mesh) => Promise<readonly Cause[]> {
  return async ({ logging: { backends = [] } = {} }) => {
    const formats = backends.flatMap(({ format = "" }, index) =>
      format === "" ? [] : [{ field: `logging.backends[${index}].format`, format }],
    );
    if (formats.length === 0) return [];
    if (envoy !== undefined && (await envoy.label()) !== undefined) {
      const answer = await semaphore(async () => [await askEnvoy(formats, envoy)]);
      if (answer !== undefined) return answer.filter((cause) => cause !== undefined);
    }
    return formats.flatMap(({ field, format }) => {
      const message = unknownOperator(format);
      return message === undefined ? [] : [{ field, message }];
    });
  };
}
