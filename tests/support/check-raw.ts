import type { EnvoyApi } from "../../src/envoy/raw/api.js";
import { checkRawInSteps } from "../../src/envoy/raw/native.js";
import { finish } from "../../src/lib/steps.js";

/** The problem with a raw resource; empty when there is none. */
export const checkRaw = (text: string, api?: EnvoyApi) => finish(checkRawInSteps(text, api));
