import {
  completeOptions,
  type InstallOption,
  type InstallOptions,
  namespaceOption,
  type OptionKey,
  type OptionValues,
  optionTable,
} from "../../kubernetes/manifests/options.js";
import { type ServerKey, tlsServers } from "../../kubernetes/manifests/pairs.js";
import { text } from "../../lib/cli.js";
import type { Flag } from "../../lib/command.js";
import { build } from "../../lib/version.js";

export const installOptionTable = optionTable(build.version);

/** Undefined if the flag is not given and its default is not a constant of every build. */
function flagOf<T extends string | number>(option: InstallOption<T>): Flag<T | undefined> {
  const { flag, form, default: preset, help } = option;
  const constant = typeof preset !== "object" && option !== installOptionTable.controlPlaneVersion;
  return text(flag, {
    help,
    placeholder: form.placeholder,
    parse: (raw): T | undefined => form.parse(raw),
    ...(form.choices === undefined ? {} : { choices: form.choices }),
    ...(constant ? { default: preset } : { default: undefined }),
  });
}

export const namespaceFlag = flagOf(namespaceOption);

type OptionFlags = { readonly [Key in OptionKey]: Flag<OptionValues[Key] | undefined> };

/** A flag for each option. */
export const optionFlags = Object.fromEntries(
  Object.entries(installOptionTable).map(([key, option]) => [key, flagOf<string | number>(option)]),
) as OptionFlags;

type Chosen = { readonly [Key in OptionKey | "namespace"]?: InstallOptions[Key] | undefined };

/** The options that flags chose, with defaults for the others. */
export function optionsOf(chosen: Chosen): InstallOptions {
  const keys = Object.keys(installOptionTable) as OptionKey[];
  const given = keys.flatMap((key) => (chosen[key] === undefined ? [] : [[key, chosen[key]]]));
  const namespace = chosen.namespace ?? String(namespaceOption.default);
  return { namespace, ...completeOptions(installOptionTable, Object.fromEntries(given)) };
}

const pem = (server: ServerKey, part: "cert" | "key", what: string): Flag<string> =>
  text(`${tlsServers[server].flag}-tls-${part}`, { placeholder: "PEM", default: "", help: what });

/** The texts of the user's own certificates and keys; "" for those that are not given. */
export const pairFlags = {
  admissionServerTlsCert: pem("admissionServer", "cert", "certificate of the admission server, PEM text"),
  admissionServerTlsKey: pem("admissionServer", "key", "its private key, PEM text"),
  injectorTlsCert: pem("injector", "cert", "certificate of the injector, PEM text"),
  injectorTlsKey: pem("injector", "key", "its private key, PEM text"),
  sdsTlsCert: pem("sds", "cert", "certificate of the SDS server, PEM text"),
  sdsTlsKey: pem("sds", "key", "its private key, PEM text"),
};

export type PairTexts = Readonly<Record<keyof typeof pairFlags, string>>;
