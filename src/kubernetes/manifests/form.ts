import { UserError } from "../../lib/errors.js";

/** What the value of an option looks like. */
export interface Form<T extends string | number = string | number> {
  /** @throws UserError `install.form` */
  parse(raw: string): T;
  /** The same as a JSON schema, for the values of the Helm chart. */
  readonly schema: Readonly<Record<string, unknown>>;
  readonly choices?: readonly string[];
  /** The kind of value that the help shows. */
  readonly placeholder: string;
}

function pattern(expression: RegExp, longest: number, placeholder: string, expected: string): Form<string> {
  return {
    parse(raw) {
      if (raw.length <= longest && expression.test(raw)) return raw;
      throw UserError.of("install.form", { expected });
    },
    schema: { type: "string", pattern: expression.source, maxLength: longest },
    placeholder,
  };
}

/** A DNS label (RFC 1123), as namespaces have it. */
export const namespaceName = pattern(
  /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/,
  63,
  "NAME",
  "the name of a namespace: up to 63 lowercase letters, digits and dashes, none of these at an end",
);

/** A DNS label that begins with a letter (RFC 1035), as Services need it. */
export const serviceName = pattern(
  /^[a-z]([-a-z0-9]*[a-z0-9])?$/,
  63,
  "NAME",
  "the name of a Service: up to 63 lowercase letters, digits and dashes, beginning with a letter",
);

const host = "[A-Za-z0-9]([-.A-Za-z0-9]*[A-Za-z0-9])?(:[0-9]{1,5})?";
const segment = "[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*";

/** A registry and a path in it, to which `/kuma-cp` can be appended. */
export const imageRegistry = pattern(
  new RegExp(`^${host}(/${segment})*$`),
  200,
  "PREFIX",
  "a registry, and a path in it if need be, such as registry.example.com/mesh",
);

/** The name of an image without its tag, which is an option of its own. */
export const imageName = pattern(
  new RegExp(`^(${host}/)?${segment}(/${segment})*$`),
  255,
  "IMAGE",
  "the name of an image without a tag, such as registry.example.com/mesh/kuma-cp",
);

export const imageTag = pattern(
  /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/,
  128,
  "TAG",
  "the tag of an image: up to 128 letters, digits, dots, dashes and underscores",
);

const booleans = new Set(["true", "false"]);

export function oneOf(...choices: readonly string[]): Form<string> {
  return {
    parse(raw) {
      if (choices.includes(raw)) return raw;
      throw UserError.of("install.form", { expected: `one of ${choices.join(", ")}` });
    },
    // `--set name=true` gives a boolean.
    schema: { enum: choices.flatMap((choice) => (booleans.has(choice) ? [choice, choice === "true"] : [choice])) },
    choices,
    placeholder: "string",
  };
}

export function count(least: number, most: number): Form<number> {
  return {
    parse(raw) {
      const value = /^[0-9]{1,9}$/.test(raw) ? Number(raw) : Number.NaN;
      if (value >= least && value <= most) return value;
      throw UserError.of("install.form", { expected: `a number from ${least} to ${most}` });
    },
    schema: { type: "integer", minimum: least, maximum: most },
    placeholder: "int",
  };
}
