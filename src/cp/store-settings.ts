import { UserError } from "../lib/errors.js";
import type { Intersection } from "../lib/intersection.js";
import type { Origin, Parser, Setting, SettingsTable } from "../lib/settings.js";
import type { StoreKind } from "../store/kind.js";
import type { storeKinds } from "../store/kinds.js";

/** The available kinds of store: all real ones, and those that a test adds. */
export type StoreKinds = readonly [...typeof storeKinds, ...StoreKind[]];

const either = (names: readonly string[]): string =>
  names.length < 2 ? names.join() : `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;

/** The setting that selects a kind; the first is the default. */
export function storeTypeSetting(kinds: StoreKinds): Setting<string> {
  const names = kinds.map(({ name }) => name);
  const parse: Parser<string> = (raw, name) => {
    const known = names.find((one) => one === raw);
    if (known !== undefined) return known;
    throw UserError.of("setting.store-type", { setting: name, value: String(raw), expected: either(names) });
  };
  return {
    path: "store.type",
    env: ["KUMA_STORE_TYPE"],
    default: kinds[0].name,
    parse,
    sentence: `Where resources are kept: ${either(names)}.`,
  };
}

/** The settings of all kinds. */
export function settingsOf(kinds: StoreKinds): Intersection<StoreKinds[number]["settings"]> {
  for (const { name, settings } of kinds) {
    const foreign = Object.keys(settings).find((key) => !key.startsWith(name));
    if (foreign !== undefined)
      throw new Error(`the setting ${foreign} of the store "${name}" has to begin with its name`);
  }
  return Object.assign({}, ...kinds.map(({ settings }) => settings));
}

/** The kind that the settings select. */
export function chosenKind(kinds: StoreKinds, { storeType }: { readonly storeType: string }): StoreKind {
  const kind = kinds.find(({ name }) => name === storeType);
  if (kind === undefined) throw new Error(`there is no store "${storeType}"`);
  return kind;
}

interface Resolved {
  readonly values: Readonly<Record<string, unknown>> & { readonly storeType: string };
  readonly origins: Readonly<Record<string, Origin>>;
}

/** A warning for each kind that is not selected but has settings: the user has probably forgotten to select it. */
export function unusedSettings(kinds: StoreKinds, table: SettingsTable, { values, origins }: Resolved): string[] {
  const variable = (key: string) => table[key]?.env[0] ?? key;
  return kinds.flatMap(({ name, settings }) => {
    if (name === values.storeType) return [];
    // Settings at their default don't count: the file may be the complete example.
    const set = Object.entries(settings).filter(
      ([key, one]) => origins[key] !== "default" && values[key] !== one.default,
    );
    if (set.length === 0) return [];
    const variables = set.map(([key]) => variable(key)).join(", ");
    return [`${variables} without effect: ${variable("storeType")} is ${values.storeType}, not ${name}`];
  });
}
