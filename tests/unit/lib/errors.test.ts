import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { endings, failures, type Repeated, replies } from "../../../src/lib/errors/catalogue.js";
import { contexts } from "../../../src/lib/errors/contexts.js";
import { filled } from "../../../src/lib/errors/entry.js";
import { UserError } from "../../../src/lib/errors.js";
import { errorReply, type HttpReply } from "../../../src/net/exchange.js";
import { callError, ofLimit, status } from "../../../src/net/grpc-status.js";
import { suite } from "../../support/suite.js";

const test = suite("the catalogue of user-facing errors");

const all = { ...failures, ...replies, ...endings };

const source = fileURLToPath(new URL("../../../src", import.meta.url));
const catalogue = path.join("lib", "errors");

/** All code but the catalogue. */
const code = fs
  .readdirSync(source, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts") && !file.startsWith(catalogue + path.sep))
  .map((file) => fs.readFileSync(path.join(source, file), "utf8"))
  .join("");

test("every entry is used", () => {
  const unused = (ids: object, mark: (id: string) => string) =>
    Object.keys(ids).filter((id) => !code.includes(mark(id)));
  assert.equal(
    unused(all, (id) => `"${id}"`),
    [],
  );
  assert.equal(
    unused(contexts, (name) => `within("${name}"`),
    [],
  );
});

test("the type checker rejects errors that are not in the catalogue", () => {
  const refused = [
    // @ts-expect-error no such id
    () => UserError.of("token.emty", { file: "t" }),
    // @ts-expect-error a parameter is missing
    () => UserError.of("token.too-long", { file: "t" }),
    // @ts-expect-error a parameter of another entry
    () => UserError.of("token.empty", { file: "t", longest: 3 }),
    // @ts-expect-error no parameters at all
    () => UserError.of("token.empty"),
    // @ts-expect-error an error beside the catalogue
    () => new UserError("token.empty", "token under file t is empty", {}),
    // @ts-expect-error the reply to a request whose title varies is given one
    () => errorReply("http.internal"),
    // @ts-expect-error an error of programs is no reply
    () => errorReply("token.empty", { file: "t" }),
    // @ts-expect-error a parameter is missing
    () => callError("sds.mesh"),
    // @ts-expect-error a comparison with an id that no error has
    (error: UserError) => error.id === "token.emty",
  ];
  assert.is(refused.length, 9);
});

test("the type checker rejects an id that occurs in two areas", () => {
  const distinct: [Repeated<[{ a: 1 }, { b: 1; c: 1 }]>] extends [never] ? true : false = true;
  const repeated: Repeated<[{ a: 1 }, { b: 1; c: 1 }, { c: 1 }]> = "c";
  assert.ok(distinct);
  assert.is(repeated, "c");
});

test("a message is one text, however its entry is broken into lines", () => {
  assert.is(
    UserError.of("config.broken", { context: "local", hint: "Add one" }).message,
    'apparently, configuration is broken: the active context "local" refers to no Control Plane. Add one',
  );
  for (const [id, { message }] of Object.entries(all)) {
    const text = filled(message, Object.fromEntries(message.names.map((name) => [name, `<${name}>`])));
    assert.not.match(text, / {2}|\n | $/, id);
  }
});

test("the underlying error is shown as its message, and is the cause", () => {
  const below = new Error("EACCES: permission denied");
  const error = UserError.of("token.unreadable", { file: "/t", reason: below });
  assert.is(error.message, "could not read file /t: EACCES: permission denied");
  assert.is(error.cause, below);
  assert.is(UserError.of("token.unreadable", { file: "/t", reason: "gone" }).cause, undefined);
});

test("an error with a context keeps its id", () => {
  const causes = [{ field: "name", message: "is missing" }];
  const error = UserError.of("api.refused", { title: "Could not process a resource", details: "no" }, { causes });
  const within = error.within("listing", { kinds: "Meshes" });
  assert.is(within.message, "failed to list Meshes: Could not process a resource (no)");
  assert.is(within.id, "api.refused");
  assert.equal(within.causes, causes);
  assert.is(within.cause, error);
});

test("an HTTP server responds with the entry's status, and its title or the given one", () => {
  const read = ({ status, body }: HttpReply) => [status, JSON.parse(String(body))];
  assert.equal(read(errorReply("http.body-size", { limit: 5 })), [
    413,
    { title: "Could not process a resource", details: "The body is larger than 5 bytes" },
  ]);
  const causes = [{ field: "mesh", message: "mesh of name m is not found" }];
  assert.equal(read(errorReply("request.mesh", { title: "Could not create a resource" }, { causes })), [
    400,
    { title: "Could not create a resource", details: "Mesh is not found", causes },
  ]);
});

test("a gRPC call ends with the entry's status, and the name of the limit that was exceeded", () => {
  assert.equal(ofLimit("message", callError("grpc.message", { most: 9 })), {
    code: status.resourceExhausted,
    details: "a message is longer than 9 bytes (limit message)",
  });
});

test("an invalid command line shows the usage, and every error ends the program with exit code 1", () => {
  assert.ok(UserError.of("flag.takes-none", { flag: "--force" }).usage);
  assert.not(UserError.of("duration.invalid", { duration: "1 day" }).usage);
  assert.equal([...new Set(Object.values(failures).map(({ exitCode }) => exitCode))], [1]);
});

test.run();
