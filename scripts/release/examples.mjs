// The documents in the product documentation and the README, as files for `kumactl apply -f`.
import fs from "node:fs";
import path from "node:path";

/** Whether the fixture is a resource that can be applied; the others are lists and views in HTTP API responses. */
function isApplicable(file, text) {
  if (file.endsWith(".yaml")) return true;
  const { type } = JSON.parse(text);
  return typeof type === "string" && type !== "DataplaneOverview";
}

/** The prefix of the file names of a section's documents: `a-second-machine`, or `quickstart`. */
const prefixOf = (heading) =>
  heading.startsWith("Quickstart") ? "quickstart" : heading.toLowerCase().replace(/[^a-z0-9]+/g, "-");

/** The documents that a README pipes into kumactl, `echo "…" | kumactl apply -f -`. Sections may use the same name. */
function piped(readme) {
  const sections = readme.split(/^## /m).map((section) => ({
    prefix: prefixOf(section.slice(0, section.indexOf("\n")).trim()),
    section,
  }));
  return sections.flatMap(({ prefix, section }) =>
    [...section.matchAll(/^echo "(type: [^"]*)" \| kumactl apply -f -$/gm)].map(([, text]) => {
      const name = /^name: (\S+)$/m.exec(text)?.[1];
      if (name === undefined) throw new Error(`the README applies a document without a name: ${text}`);
      return { name: `${prefix}-${name}.yaml`, data: `${text}\n` };
    }),
  );
}

/** The examples as `{name, data}`; `documents` is the directory of the fixtures, `readme` the README's text. */
export function examples(documents, readme) {
  const documented = fs
    .readdirSync(documents)
    .map((name) => ({ name, data: fs.readFileSync(path.join(documents, name), "utf8") }))
    .filter(({ name, data }) => isApplicable(name, data));
  return [...documented, ...piped(readme)];
}
