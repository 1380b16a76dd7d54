import type { InstallOption, InstallOptions, OptionTable, OptionValues } from "./options.js";
import { type Pairs, type ServerKey, serverKeys, tlsServers } from "./pairs.js";

/** Stands for an option in the documents from which templates are made; nothing else looks like it. */
const placeholder = (key: string): string => `helm-value-${key.toLowerCase()}-end`;
const placeholderPattern = /helm-value-([a-z]+)-end/g;
const placeholderNumber = 987_654_321;

/** Values of the chart hold the user's certificates under these names. */
const pairValue = (server: ServerKey, part: "cert" | "key"): string =>
  `${tlsServers[server].value}Tls${part === "cert" ? "Cert" : "Key"}`;

/** The template that yields a server's certificate and key, as JSON. */
const pairTemplate = (server: ServerKey): string => `kuma.tls.${server}`;

const base64 = (text: string): string => Buffer.from(text).toString("base64");
const partPlaceholder = (server: ServerKey, part: "cert" | "key"): string => `helm-${part}-of-${server}`;

/** Options and certificates that are placeholders; the documents made from them become templates. */
export function placeholders(table: OptionTable): { readonly options: InstallOptions; readonly pairs: Pairs } {
  const values = Object.entries<InstallOption>(table).map(([key, { default: preset }]) => [
    key,
    typeof preset === "number" ? placeholderNumber : placeholder(key),
  ]);
  const pairs = serverKeys.map((server) => [
    server,
    { cert: partPlaceholder(server, "cert"), key: partPlaceholder(server, "key") },
  ]);
  return {
    options: { namespace: placeholder("namespace"), ...(Object.fromEntries(values) as OptionValues) },
    pairs: Object.fromEntries(pairs) as Pairs,
  };
}

/** Helm's expression for an option: the release's namespace, a value, or what an empty value is replaced by. */
function expressionOf(table: OptionTable, lowerCase: string): string {
  if (lowerCase === "namespace") return ".Release.Namespace";
  const entry = Object.entries<InstallOption>(table).find(([key]) => key.toLowerCase() === lowerCase);
  if (entry === undefined) throw new Error(`there is no option ${lowerCase}`);
  const [key, { default: preset }] = entry;
  if (typeof preset !== "object") return `.Values.${key}`;
  const { from, suffix } = preset;
  const other = suffix === "" ? `.Values.${from}` : `(printf "%s${suffix}" .Values.${from})`;
  return `(.Values.${key} | default ${other})`;
}

/** Helm's expression for a text with placeholders. */
function textExpression(table: OptionTable, text: string): string {
  const keys = [...text.matchAll(placeholderPattern)].map(([, key = ""]) => expressionOf(table, key));
  const format = text.replaceAll("%", "%%").replace(placeholderPattern, "%s");
  return format === "%s" ? (keys[0] ?? "") : `printf "${format}" ${keys.join(" ")}`;
}

const pairExpressions: ReadonlyMap<string, string> = new Map(
  serverKeys.flatMap((server) =>
    (["cert", "key"] as const).map((part) => [
      base64(partPlaceholder(server, part)),
      `(include "${pairTemplate(server)}" . | fromJson).${part} | b64enc`,
    ]),
  ),
);

const scalar = /^(\s*(?:- )*(?:[\w.-]+: )?)(.*)$/;

/** A document with placeholders, in YAML, as a template. */
export function templateOf(table: OptionTable, yaml: string): string {
  const lines = yaml.split("\n").map((line) => {
    const [, start = "", value = ""] = scalar.exec(line) ?? [];
    if (value === String(placeholderNumber)) return `${start}{{ .Values.replicas | int }}`;
    const pair = pairExpressions.get(value);
    if (pair !== undefined) return `${start}{{ ${pair} }}`;
    return value.search(placeholderPattern) < 0 ? line : `${start}{{ ${textExpression(table, value)} | quote }}`;
  });
  return lines.join("\n");
}

/**
 * Certificates by Helm: the user's, those of the release's Secrets, or new ones. Each is made once a rendering, because
 * webhook configurations contain the certificate that is in the Secret; the values of the chart keep it until then.
 */
const certificateTemplate = `{{- define "kuma.tls" -}}
{{- $known := get .root.Values "known" | default dict -}}
{{- if not (hasKey $known .secret) -}}
{{- $pair := dict -}}
{{- if and .cert .key -}}
{{- $pair = dict "cert" (printf "%s\\n" (trim .cert)) "key" (printf "%s\\n" (trim .key)) -}}
{{- else if or .cert .key -}}
{{- fail (printf "%s: both TLS Cert and TLS Key must be provided at the same time" .title) -}}
{{- else -}}
{{- $stored := lookup "v1" "Secret" .root.Release.Namespace .secret -}}
{{- if $stored -}}
{{- $pair = dict "cert" (index $stored.data "tls.crt" | b64dec) "key" (index $stored.data "tls.key" | b64dec) -}}
{{- else -}}
{{- $name := first .hosts -}}
{{- if gt (len $name) 64 -}}{{- $name = index .hosts 2 -}}{{- end -}}
{{- $made := genSelfSignedCert $name nil .hosts 3650 -}}
{{- $pair = dict "cert" $made.Cert "key" $made.Key -}}
{{- end -}}
{{- end -}}
{{- $_ := set $known .secret $pair -}}
{{- $_ := set .root.Values "known" $known -}}
{{- end -}}
{{- get $known .secret | toJson -}}
{{- end -}}
`;

/** The templates of all certificates. */
export function certificateTemplates(table: OptionTable): string {
  const { options } = placeholders(table);
  const each = serverKeys.map((server) => {
    const { title, secret, hosts } = tlsServers[server];
    const names = hosts(options).map((host) =>
      host.search(placeholderPattern) < 0 ? JSON.stringify(host) : `(${textExpression(table, host)})`,
    );
    const [cert, key] = (["cert", "key"] as const).map((part) => `.Values.${pairValue(server, part)}`);
    return `{{- define "${pairTemplate(server)}" -}}
{{- include "kuma.tls" (dict "root" . "title" "${title}" "secret" "${secret}" "cert" ${cert} "key" ${key} "hosts" (list ${names.join(" ")})) -}}
{{- end -}}
`;
  });
  return [certificateTemplate, ...each].join("");
}

interface Value {
  readonly key: string;
  readonly help: string;
  readonly preset: string | number;
  readonly schema: unknown;
}

/** Every value of the chart; an empty one has the default that the help names. */
export function chartValues(table: OptionTable): Value[] {
  const options = Object.entries<InstallOption>(table).map(([key, { help, default: preset, form }]): Value => {
    if (typeof preset !== "object") return { key, help, preset, schema: form.schema };
    return { key, help, preset: "", schema: { anyOf: [{ const: "" }, form.schema] } };
  });
  const pairs = serverKeys.flatMap((server) =>
    (["cert", "key"] as const).map(
      (part): Value => ({
        key: pairValue(server, part),
        help: `${tlsServers[server].title}: ${part === "cert" ? "certificate" : "private key"}, PEM text`,
        preset: "",
        schema: { type: "string" },
      }),
    ),
  );
  return [...options, ...pairs];
}
