import { dump } from "js-yaml";

/** YAML as kumactl prints it elsewhere: one value a line, lists at the indentation of their key, no anchors. */
export const yamlOf = (value: unknown): string => dump(value, { noRefs: true, lineWidth: -1, seqNoIndent: true });

/** Documents as one text for `kubectl apply -f -`. */
export const documentsText = (documents: readonly unknown[]): string =>
  documents.map((document) => `---\n${yamlOf(document)}`).join("");
