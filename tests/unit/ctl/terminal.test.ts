import { load } from "js-yaml";
import * as assert from "uvu/assert";
import { kumactl } from "../../../src/ctl/program.js";
import { registry } from "../../../src/resources/registry.js";
import { suite } from "../../support/suite.js";
import { hostileServer, type Manner, steering } from "./hostile-server.js";
import { createHome, startServer } from "./stage.js";

const test = suite("kumactl and a control plane that means ill to the terminal");

const home = createHome();
const token = home.file("secrets-token", "token");
const template = (name: string) => `type: Dataplane\nmesh: default\nname: ${JSON.stringify(name)}\n`;
const innocent = home.file("innocent.yaml", `${template("a")}networking: {inbound: [{interface: "127.0.0.1:1:2"}]}\n`);
const evil = home.file("evil.yaml", template(`a${steering}`));
const evilType = home.file("evil-type.yaml", `type: ${JSON.stringify(`T${steering}`)}\n`);
const pair = home.file("pair.yaml", `${template("a")}---\n${template(`b${steering}`)}`);

/** How each command is run; one that is missing here fails the test. */
const invocations: Readonly<Record<string, readonly string[]>> = {
  apply: [
    `-f ${innocent}`,
    `-f ${innocent} --dry-run`,
    `-f ${evil}`,
    `-f ${evil} --dry-run`,
    `-f ${evilType}`,
    `-f ${pair} --dry-run`,
  ],
  check: ["", "-o json"],
  "config view": [""],
  "config control-planes list": [""],
  delete: ["dataplane a"],
  export: ["", `--secrets ${token}`],
  "inspect dataplane": ["", "-o json", "-o yaml"].flatMap((format) =>
    ["--policies", "--config-dump", "--diff"].map((aspect) => `a ${aspect} ${format}`.trim()),
  ),
  "inspect dataplanes": ["", "-o json", "-o yaml"],
  "explain traffic": ["--from a --to b", "--from a --to b -o json", "--from a --to b -o yaml"],
  "generate certificate": ["--type client"].map(
    (words) => `${words} --key-file ${home.path}/k --cert-file ${home.path}/c`,
  ),
  "generate dataplane-token": ["--name a"],
  "install control-plane": [""],
  "install crds": [""],
  "install helm-chart": [`--directory ${home.path}/chart`],
  "uninstall control-plane": [""],
  "install database-schema": [""],
  "manage ca rotate": ["", "--mesh default"],
  "completion bash": [""],
  "completion zsh": [""],
  "completion fish": [""],
  __complete: ["-- get "],
  // Last, because they change which control plane is asked.
  "config control-planes add": ["--name n --address URL"],
  "config control-planes switch": ["--name n"],
  "config control-planes remove": ["--name n"],
};

const gets = kumactl(registry)
  .commands.map(({ path }) => path)
  .filter((path) => path.startsWith("get "));
const all = { ...Object.fromEntries(gets.map((path) => [path, ["", "-o json", "-o yaml"]])), ...invocations };

/** Our own colours; nothing else that begins with an escape. */
const own = new RegExp(`${String.fromCharCode(27)}\\[(31|32|33|39)m`, "g");

function harmless(text: string, what: string): void {
  const [found] = text.replaceAll(own, "").match(/(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u) ?? [];
  assert.is(found === undefined, true, `${what}: U+${found?.codePointAt(0)?.toString(16)} in ${JSON.stringify(text)}`);
  const forged = text.split("\n").find((line) => /^\s*forged/.test(line));
  assert.is(forged, undefined, `${what} has a forged line in ${JSON.stringify(text)}`);
}

/** Runs every command in all its ways against a server of this manner. */
async function walk(manner: Manner, each: (what: string, out: string, err: string) => void): Promise<void> {
  let url = "";
  const server = await startServer(
    hostileServer(
      () => manner,
      () => url,
    ),
  );
  url = server.url;
  try {
    for (const [path, ways] of Object.entries(all)) {
      for (const way of ways) {
        if (!path.startsWith("config control-planes")) home.pointTo(url);
        for (const color of [false, true]) {
          const words = `${path} ${way}`.trim().replace("URL", url).split(" ");
          const { out, err } = await home.run(words, { color });
          each(`${words.join(" ")} (the server ${manner})`, out, err);
        }
      }
    }
  } finally {
    await server.close();
  }
}

test.after(() => home.remove());

test("every command is covered", () => {
  const paths = kumactl(registry).commands.map(({ path }) => path);
  assert.equal(paths.filter((path) => !(path in all)).sort(), []);
});

for (const manner of ["answers", "refuses", "raves"] as const) {
  test(`nothing that steers the terminal is printed, and no line is forged, when the server ${manner}`, async () => {
    const shown = new Set<string>();
    await walk(manner, (what, out, err) => {
      harmless(out, what);
      harmless(err, what);
      if (`${out}${err}`.includes("taken over")) shown.add(what.split(" ")[0] ?? "");
      assert.not.match(err, /This is a bug/, what);
    });
    // It would be no test if the text had not arrived.
    const talkative = ["get", "inspect", "explain", ...(manner === "answers" ? ["check", "apply"] : ["export"])];
    for (const command of talkative) assert.ok(shown.has(command), `${command} shows what the server said`);
  });
}

test("a list in JSON and YAML reads back to what the server sent, character by character", async () => {
  const items = [
    { type: "Mesh", name: `m${steering}`, [`k${steering}`]: [`${steering}`, "a\nb", "plain", "\t", " x"] },
  ];
  const server = await startServer((_request, response) => response.end(JSON.stringify({ items })));
  home.pointTo(server.url);
  const json = await home.run(["get", "meshes", "-o", "json"]);
  assert.equal(JSON.parse(json.out), { items });
  const yaml = await home.run(["get", "meshes", "-o", "yaml"]);
  assert.equal(load(yaml.out), { items });
  harmless(yaml.out, "yaml");
  await server.close();
});

test("a token with anything but printable ASCII in it is refused, not printed", async () => {
  let url = "";
  const server = await startServer(
    hostileServer(
      () => "answers",
      () => url,
    ),
  );
  url = server.url;
  home.pointTo(url);
  const { code, out, err } = await home.run(["generate", "dataplane-token", "--name", "a"]);
  assert.equal([code, out], [1, ""]);
  assert.match(err, /the response of .* is not a token/);
  await server.close();
});

test("the content of a configuration file is escaped, too", async () => {
  const name = JSON.stringify(`n${steering}`);
  const plane = `{name: ${name}, coordinates: {apiServer: {url: "http://localhost:1"}}}`;
  const file = home.file("config", `contexts: [{name: ${name}, controlPlane: ${name}}]\ncontrolPlanes: [${plane}]\n`);
  for (const words of [["view"], ["control-planes", "list"]]) {
    const { out, err } = await home.run(["config", ...words, "--config-file", file]);
    assert.ok(out.includes("taken over"));
    harmless(out + err, words.join(" "));
  }
});

test.run();
