import type { OwnServers } from "../../envoy/own-servers.js";
import { builtInApi, type EnvoyApi } from "../../envoy/raw/api.js";
import { checkRawInSteps, problemText, readRaw } from "../../envoy/raw/native.js";
import type { Json } from "../../envoy/raw/rewrites.js";
import type { RawProblem } from "../../envoy/raw/tree.js";
import { typeUrls } from "../../envoy/resource.js";
import type { Cause } from "../../lib/errors.js";
import type { Semaphore } from "../../lib/semaphore.js";
import { inSlices } from "../../net/slices.js";
import { invalidNative, type ProxyTemplate, type RawResource } from "../../resources/proxy-template.js";
import type { BundledEnvoy } from "./bundled-envoy.js";

const sentences = (problems: readonly RawProblem[], api: EnvoyApi): string[] =>
  problems.map((problem) => invalidNative(problemText(problem, api)));

/**
 * A configuration with the message in a place that Envoy parses strictly, like all of its configuration, but never
 * uses. A real listener or cluster would be started.
 */
function holding(message: Json): unknown {
  const metadata = { typedFilterMetadata: { raw: message } };
  return { staticResources: { clusters: [{ name: "question", type: "STATIC", connectTimeout: "1s", metadata }] } };
}

/**
 * Checks what our API does not know or allow against the newer API, then with Envoy itself; returns the remaining
 * problems.
 */
async function askEnvoy(
  text: string,
  api: EnvoyApi,
  envoy: BundledEnvoy,
  own: OwnServers | undefined,
): Promise<readonly string[]> {
  const problems = await inSlices(checkRawInSteps(text, api, own));
  if (problems.length > 0) return sentences(problems, api);
  const reading = readRaw(text, api);
  if (!reading.valid) return sentences(reading.problems, api);
  const { kind, json } = reading.raw;
  const refusal = await envoy.refusal(holding({ "@type": typeUrls[kind], ...json }));
  return refusal === undefined ? [] : [invalidNative(`${api.label} refuses it: ${refusal}`)];
}

/**
 * Validates the raw resources of a ProxyTemplate against Envoy's API. What only a newer API could allow is checked by
 * the Envoy beside this program; without one, or under too much load, our API decides.
 */
export function templateCheck(
  envoy: BundledEnvoy | undefined,
  semaphore: Semaphore,
  own: () => OwnServers | undefined,
): (template: ProxyTemplate) => Promise<readonly Cause[]> {
  async function resource(text: string): Promise<readonly string[]> {
    const problems = await inSlices(checkRawInSteps(text, builtInApi(), own()));
    if (problems.length === 0) return [];
    const ours = sentences(problems, builtInApi());
    if (envoy === undefined || problems.some(({ newer }) => !newer)) return ours;
    const api = await envoy.api();
    if (api === undefined) return ours;
    return (await semaphore(() => askEnvoy(text, api, envoy, own()))) ?? ours;
  }

  async function all(resources: readonly RawResource[] = [], prefix = ""): Promise<Cause[]> {
    const causes: Cause[] = [];
    for (const [index, { resource: text = "" }] of resources.entries()) {
      for (const message of await resource(text))
        causes.push({ field: `${prefix}resources[${index}].resource`, message });
    }
    return causes;
  }

  return async ({ resources, conf }) => [...(await all(resources)), ...(await all(conf?.resources, "conf."))];
}
