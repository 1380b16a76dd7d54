import { parseArgs } from "node:util";
import { UsageError } from "../../support/usage-error.js";
import type { Mode } from "../storm-dialect.js";
import type { StoreType } from "./control-plane.js";

export interface LoadOptions {
  /** One measurement for each. */
  readonly dataplanes: readonly number[];
  readonly services: number;
  readonly outbounds: number;
  readonly policies: number;
  readonly mtls: boolean;
  readonly mode: Mode;
  readonly store: StoreType;
}

export const usage =
  "npm run bench:xds -- [--dataplanes N[,N…]] [--services S] [--outbounds K] [--policies P] [--[no-]mtls] " +
  "[--mode delta|sotw] [--store memory|postgres]";

const invalid = (option: string, text: string, right: string) =>
  new UsageError(`--${option} is "${text}", but has to be ${right}; usage: ${usage}`);

function whole(option: string, text: string, least: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least) throw invalid(option, text, `a whole number from ${least} on`);
  return value;
}

function oneOf<T extends string>(option: string, text: string, words: readonly T[]): T {
  const found = words.find((word) => word === text);
  if (found === undefined) throw invalid(option, text, words.join(" or "));
  return found;
}

/** @throws UsageError for an option that is unknown or has no such value */
export function readOptions(args: readonly string[]): LoadOptions {
  const text = (preset: string) => ({ type: "string", default: preset }) as const;
  let values: ReturnType<typeof parse>;
  function parse() {
    return parseArgs({
      args: [...args],
      allowNegative: true,
      options: {
        dataplanes: text("1000"),
        services: text("100"),
        outbounds: text("10"),
        policies: text("100"),
        mtls: { type: "boolean", default: true },
        mode: text("delta"),
        store: text("memory"),
      },
    }).values;
  }
  try {
    values = parse();
  } catch (error) {
    throw new UsageError(`${(error as Error).message}; usage: ${usage}`);
  }
  const services = whole("services", values.services, 1);
  const outbounds = whole("outbounds", values.outbounds, 1);
  if (outbounds > services) throw invalid("outbounds", values.outbounds, `at most the ${services} services there are`);
  return {
    // A tenth of the proxies is what stops reading.
    dataplanes: values.dataplanes.split(",").map((one) => whole("dataplanes", one, 10)),
    services,
    outbounds,
    policies: whole("policies", values.policies, 0),
    mtls: values.mtls,
    mode: oneOf("mode", values.mode, ["delta", "sotw"]),
    store: oneOf("store", values.store, ["memory", "postgres"]),
  };
}
