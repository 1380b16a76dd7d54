import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import * as assert from "uvu/assert";
import { floors, mayImport, pure } from "../../../scripts/arrows.mjs";
import { apiTable } from "../../../src/cp/api/endpoints.js";
import { table as controlPlaneTable } from "../../../src/cp/settings.js";
import { globalFlags } from "../../../src/ctl/globals.js";
import { kumactl } from "../../../src/ctl/program.js";
import { table as dataplaneTable } from "../../../src/dp/settings.js";
import { policyEffects } from "../../../src/envoy/effects/effects.js";
import { listenerKinds } from "../../../src/envoy/listener-kinds/listener-kinds.js";
import { endings, failures, replies } from "../../../src/lib/errors/catalogue.js";
import { policyTypes, registry } from "../../../src/resources/registry.js";
import { storeKinds } from "../../../src/store/kinds.js";
import { storeGrounds } from "../../support/store-grounds.js";
import { suite } from "../../support/suite.js";

const test = suite("ARCHITECTURE.md and CONTRIBUTING.md");

const read = (file: string) => fs.readFileSync(file, "utf8");
const architecture = read("ARCHITECTURE.md");
const contributing = read("CONTRIBUTING.md");
const documents = { "ARCHITECTURE.md": architecture, "CONTRIBUTING.md": contributing };

/** What stands below a heading, up to the next one of its level or above. */
function section(text: string, heading: string): string {
  const level = heading.indexOf(" ");
  const [, rest] = `\n${text}`.split(`\n${heading}\n`);
  if (rest === undefined) throw new Error(`there is no heading "${heading}"`);
  return rest.split(new RegExp(`^#{1,${level}} `, "m"))[0] ?? "";
}

/** The cells of a table's rows, without its head. */
function rowsOf(text: string): string[][] {
  const lines = text.split("\n").filter((line) => line.startsWith("|"));
  return lines.slice(2).map((line) =>
    line
      .slice(1, -1)
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim()),
  );
}

/** Paragraphs, items of lists and rows of tables, outside of blocks of code. */
const blocksOf = (text: string): string[] =>
  text.replaceAll(/^```[\s\S]*?^```$/gm, "").split(/\n\s*\n|\n(?=\||- |\d+\. )/);

const spansOf = (block: string): string[] => [...block.matchAll(/`([^`]+)`/g)].map(([, span = ""]) => span);

/** The lines of blocks of code. */
const codeLines = (text: string): string[] =>
  [...text.matchAll(/^```\n([\s\S]*?)^```$/gm)].flatMap(([, code = ""]) => code.split("\n"));

const everythingBelow = (directory: string): string[] =>
  fs
    .readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));

const ours = ["src", "tests", "scripts", "fixtures", "packaging"].flatMap(everythingBelow);
const place = /^(src|tests|scripts|fixtures|packaging|\.ci)(\/|$)|^[A-Z]+\.md$|^package\.json$/;
const placesIn = (text: string): string[] => text.split(/\s+/).filter((word) => place.test(word));

/** The files that a place stands for: itself, those of a directory, and any with another word in place of NAME. */
function filesAt(named: string): string[] {
  if (!named.includes("NAME")) {
    if (!fs.existsSync(named)) return [];
    return fs.statSync(named).isDirectory() ? everythingBelow(named) : [named];
  }
  const escaped = named.replaceAll(".", "\\.").replaceAll("NAME", "[\\w-]+");
  return ours.filter((file) => new RegExp(`^${escaped}(/|$)`).test(file));
}

const programText = ours
  .filter((file) => /\.(ts|mjs)$/.test(file) && file !== path.join("tests", "unit", "build", "architecture.test.ts"))
  .map((file) => [file, read(file)] as const);
const textIn = (...directories: readonly string[]) =>
  programText.flatMap(([file, text]) => (directories.some((one) => file.startsWith(`${one}/`)) ? [text] : []));
const hasWord = (texts: readonly string[], word: string) =>
  texts.some((text) => new RegExp(`\\b${word}\\b`).test(text));

for (const [name, text] of Object.entries(documents)) {
  test(`every file and directory that ${name} names exists`, () => {
    const spans = [...blocksOf(text).flatMap(spansOf), ...codeLines(text)];
    const links = [...text.matchAll(/\]\(([^)#:]+)\)/g)].map(([, target = ""]) => target);
    const named = [...spans.flatMap(placesIn), ...links];
    assert.ok(named.length > 10, `${named.length} places`);
    assert.equal(
      named.filter((one) => filesAt(one).length === 0),
      [],
    );
  });

  test(`every name of the code in ${name} is in the files that are named beside it, else somewhere in the code`, () => {
    const missing = blocksOf(text).flatMap((block) => {
      const spans = spansOf(block);
      const beside = spans.flatMap(placesIn).flatMap(filesAt).map(read);
      const names = spans.filter((span) => /^([A-Z][a-z]+|[a-z]+(?=[A-Z]))([A-Z][a-z]*)*$/.test(span));
      const searched = beside.length > 0 ? beside : textIn("src", "tests");
      return names.filter((one) => !hasWord(searched, one)).map((one) => `${one}: ${block.slice(0, 60)}`);
    });
    assert.equal(missing, []);
  });

  test(`every npm script and pattern of tests in ${name} exists`, () => {
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    const spans = [...blocksOf(text).flatMap(spansOf), ...codeLines(text)];
    const wanted = spans.flatMap((span) => /\bnpm run ([\w:]+)/.exec(span)?.[1] ?? []);
    const known = Object.keys(scripts);
    const pattern = (script: string) => new RegExp(`^${script.replace("NAME", "\\w+")}$`);
    assert.equal(
      wanted.filter((script) => !known.some((one) => pattern(script).test(one))),
      [],
    );
    const patterns = spans.flatMap((span) => /\bnpm test -- (\S+)/.exec(span)?.[1] ?? []);
    const files = ours.filter((file) => file.endsWith(".test.ts"));
    assert.equal(
      patterns.filter((one) => one !== "PATTERN" && !files.some((file) => new RegExp(one).test(file))),
      [],
    );
  });

  test(`every variable of the environment in ${name} is read by something`, () => {
    const spans = blocksOf(text).flatMap(spansOf);
    const variables = spans.flatMap((span) => /^[A-Z]+(?:_[A-Z]+)+/.exec(span)?.[0] ?? []);
    assert.equal(
      variables.filter((variable) => !hasWord(textIn("src", "tests", "scripts"), variable)),
      [],
    );
  });

  test(`every kumactl command in ${name} exists, with its flags`, () => {
    const { commands } = kumactl(registry);
    const spans = blocksOf(text).flatMap(spansOf);
    const typed = spans.filter((span) => span.startsWith("kumactl "));
    assert.ok(typed.length > 0);
    for (const line of typed) {
      const words = line.split(" ").slice(1);
      const end = words.findIndex((word) => !/^[a-z]+$/.test(word));
      const name = words.slice(0, end === -1 ? undefined : end).join(" ");
      const found = commands.find((one) => one.path === name);
      assert.ok(found !== undefined, `there is no command "${name}": ${line}`);
      const flags = [...Object.values(found.flags ?? {}), ...Object.values(globalFlags)] as { name: string }[];
      for (const flag of words.filter((word) => word.startsWith("--")))
        assert.ok(
          flags.some((one) => `--${one.name}` === flag),
          line,
        );
    }
  });
}

test("CONTRIBUTING.md names every benchmark", () => {
  const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
  const benchmarks = Object.keys(scripts).flatMap((script) => /^bench:(.+)/.exec(script)?.[1] ?? []);
  const [sentence = ""] = blocksOf(section(contributing, "## Benchmarks")).filter((block) => block !== "");
  assert.equal(spansOf(sentence).slice(2), benchmarks.sort());
});

const rooms = rowsOf(section(architecture, "## The rooms")).map(([floor, room = "", holds = "", imports = ""]) => ({
  floor: Number(floor),
  room: room.replaceAll("`", ""),
  holds,
  imports,
}));

/** How a room may import another: with its values, its types only, by `import()` only, or not at all. */
type Arrow = "values" | "types" | "lazily" | "no";

test("the rooms and their floors are those of the import rule, and the directories of src", () => {
  const drawn: string[][] = [];
  for (const { floor, room } of rooms) drawn[floor - 1] = [...(drawn[floor - 1] ?? []), room];
  assert.equal(drawn, floors);
  const reserved = rooms.filter(({ holds }) => holds.startsWith("nothing yet")).map(({ room }) => room);
  const built = rooms.map(({ room }) => room).filter((room) => !reserved.includes(room));
  assert.equal(fs.readdirSync("src").sort(), built.sort());
  assert.equal(
    rooms
      .filter(({ holds }) => holds.endsWith("(pure)"))
      .map(({ room }) => room)
      .sort(),
    [...pure].sort(),
  );
});

test("who may import whom is what the import rule allows", () => {
  function ruled(from: string, to: string): Arrow {
    if (mayImport(from, to, { typesOnly: false, lazy: false })) return "values";
    if (mayImport(from, to, { typesOnly: true, lazy: false })) return "types";
    return mayImport(from, to, { typesOnly: false, lazy: true }) ? "lazily" : "no";
  }
  function drawn({ floor, imports }: (typeof rooms)[number], to: (typeof rooms)[number]): Arrow {
    for (const part of imports.split(/[,;] /)) {
      if (part === `\`${to.room}\``) return "values";
      if (part === `\`${to.room}\` (types)`) return "types";
      if (part === "everything below" && to.floor > floor) return "values";
      if (part === "everything else by `import()`") return "lazily";
    }
    return "no";
  }
  for (const from of rooms) {
    const others = rooms.filter((to) => to !== from);
    const arrows = (of: (to: (typeof rooms)[number]) => Arrow) => others.map((to) => `${to.room}: ${of(to)}`);
    assert.equal(
      arrows((to) => drawn(from, to)),
      arrows((to) => ruled(from.room, to.room)),
      from.room,
    );
  }
});

test("the glossary explains each of its terms once, and where it is in the code", () => {
  const rows = rowsOf(section(architecture, "## Glossary"));
  const terms = rows.map(([term]) => term);
  assert.ok(terms.length >= 25, `${terms.length} terms`);
  assert.equal([...new Set(terms)], terms);
  for (const [term = "", meaning = "", code = ""] of rows) {
    assert.ok(meaning.endsWith("."), term);
    assert.ok(
      spansOf(code).some((span) => placesIn(span).length > 0),
      term,
    );
  }
});

const kebab = (name: string) => name.replaceAll(/(?<=[a-z0-9])[A-Z]/g, "-$&").toLowerCase();

/** What a file exports; nothing of one that doesn't exist. */
async function exportsOf(file: string): Promise<unknown[]> {
  if (!fs.existsSync(file)) return [];
  return Object.values(await import(pathToFileURL(path.resolve(file)).href));
}

/** The files of a directory but some, by their names without `.ts`. */
const filesOf = (directory: string, ...but: readonly string[]) =>
  fs
    .readdirSync(directory)
    .filter((file) => file.endsWith(".ts"))
    .map((file) => file.slice(0, -".ts".length))
    .filter((file) => !but.includes(file));

const recipes: Readonly<Record<string, () => void | Promise<void>>> = {
  "Add a policy": async () => {
    assert.equal(registry.policies, [...policyTypes]);
    const goldens = filesAt("fixtures/golden/envoy/NAME/resources.yaml").map(read);
    for (const type of policyTypes) {
      const file = `${kebab(type.name)}.ts`;
      assert.ok((await exportsOf(`src/resources/${file}`)).includes(type), `src/resources/${file}`);
      const effects = policyEffects.filter((effect) => effect.type === (type as unknown));
      assert.is(effects.length, 1, type.name);
      const [effect = {}] = effects;
      const own = (await exportsOf(`src/envoy/effects/${file}`)).includes(effect);
      // What other code reads has only the line.
      assert.ok(own || Object.keys(effect).join() === "type", `src/envoy/effects/${file}`);
      assert.ok(hasWord(goldens, `type: ${type.name}`), `no golden mesh has a ${type.name}`);
    }
    const names = policyTypes.map(({ name }) => kebab(name));
    for (const file of filesOf("src/envoy/effects", "effect", "effects")) assert.ok(names.includes(file), file);
  },
  "Add a kind of listener": async () => {
    const files = filesOf("src/envoy/listener-kinds", "listener-kind", "listener-kinds");
    const exported = await Promise.all(files.map((file) => exportsOf(`src/envoy/listener-kinds/${file}.ts`)));
    for (const [index, values] of exported.entries())
      assert.ok(
        listenerKinds.some((kind) => values.includes(kind)),
        files[index] ?? "",
      );
    for (const kind of listenerKinds) assert.ok(exported.flat().includes(kind), kind.name);
  },
  "Add a store": async () => {
    for (const kind of storeKinds) {
      const { name, settings } = kind;
      const exported = [
        ...(await exportsOf(`src/store/${name}.ts`)),
        ...(await exportsOf(`src/store/${name}/kind.ts`)),
      ];
      assert.ok(exported.includes(kind), name);
      for (const key of Object.keys(settings)) assert.ok(key.startsWith(name), key);
    }
    assert.equal(Object.keys(storeGrounds).sort(), storeKinds.map(({ name }) => name).sort());
  },
  "Add an endpoint": () => {
    const files = ours.filter((file) => path.dirname(file) === path.join("src", "cp", "api"));
    const makers = (kind: "Read" | "Write") =>
      files.flatMap((file) =>
        [
          ...read(file).matchAll(
            new RegExp(`^export (?:function|const) (\\w+).*: readonly ${kind}Endpoint\\[\\]`, "gm"),
          ),
        ].map(([, name]) => name),
      );
    const names = (listed: readonly { readonly name: string }[]) => listed.map(({ name }) => name).sort();
    assert.equal(makers("Read").sort(), names(apiTable.readers));
    assert.equal(makers("Write").sort(), names(apiTable.writers));
  },
  "Add a kumactl command": async () => {
    const program = read("src/ctl/program.ts");
    const { commands } = kumactl(registry);
    for (const file of filesOf("src/ctl/commands")) {
      const imported = new RegExp(`^import \\{ (\\w+) \\} from "\\./commands/${file}\\.js";$`, "m").exec(program)?.[1];
      assert.ok(imported !== undefined, `src/ctl/program.ts has no src/ctl/commands/${file}.ts`);
      const inList = new RegExp(`^ +(\\.\\.\\.)?${imported}\\b.*,$`, "m").test(program);
      assert.ok(inList, `src/ctl/program.ts imports ${imported} and does not list it`);
      for (const value of await exportsOf(`src/ctl/commands/${file}.ts`)) {
        const isCommand = typeof value === "object" && value !== null && "path" in value && "run" in value;
        assert.ok(!isCommand || commands.some((command) => command === value), file);
      }
    }
    const pages = fs.readdirSync("fixtures/golden/kumactl/help");
    for (const { path: words } of commands.filter(({ path: words }) => !words.includes("__")))
      assert.ok(pages.includes(`kumactl-${words.replaceAll(" ", "-")}.txt`), words);
  },
  "Add a setting": () => {
    const stores = storeKinds.flatMap(({ settings }) => Object.keys(settings));
    const tables = { cp: controlPlaneTable, dp: dataplaneTable };
    for (const [program, table] of Object.entries(tables)) {
      const home = `src/${program}/settings.ts`;
      const readers = programText.filter(([file]) => file.startsWith("src/") && file !== home).map(([, text]) => text);
      for (const [key, { path, env, sentence }] of Object.entries(table)) {
        assert.ok(stores.includes(key) || new RegExp(`^ +${key}: `, "m").test(read(home)), `${key} is not in ${home}`);
        assert.ok(path !== "" && env.length > 0 && sentence.endsWith("."), key);
        assert.ok(program === "dp" || hasWord(readers, key), `nothing reads ${key}`);
      }
    }
  },
  "Add an error": async () => {
    const all = { ...failures, ...replies, ...endings };
    for (const file of filesOf("src/lib/errors", "catalogue", "contexts", "entry")) {
      const tables = (await exportsOf(`src/lib/errors/${file}.ts`)).filter((value) => typeof value === "object");
      assert.ok(tables.length > 0, file);
      for (const [id, entry] of tables.flatMap((table) => Object.entries(table ?? {})))
        assert.is(Reflect.get(all, id), entry, `${id} of src/lib/errors/${file}.ts is not in the catalogue`);
    }
  },
};

test("each recipe has a test that follows it", () => {
  const headings = [...section(architecture, "## Recipes").matchAll(/^### (.+)$/gm)].map(([, heading]) => heading);
  assert.equal(headings, Object.keys(recipes));
});

for (const [recipe, follow] of Object.entries(recipes)) {
  test(`what the recipe "${recipe}" says is so for all that there are`, follow);
}

test.run();
