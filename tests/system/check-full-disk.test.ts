import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { type ControlPlane, put, startControlPlane } from "../support/executable.js";
import { openCheck } from "../support/kumactl-check.js";
import { give, type PostgresServer, startPostgres } from "../support/postgres.js";
import { suite } from "../support/suite.js";

const test = suite("kumactl check detects that the store's disk is full", { needs: ["postgres", "root", "mount"] });

const kumactl = openCheck();
let server: PostgresServer;
let cp: ControlPlane;
let disk: string;

function run(command: string, ...args: readonly string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${stderr}`);
}

test.before(async () => {
  disk = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-small-disk-"));
  run("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk);
  fs.mkdirSync(path.join(disk, "tables"), { mode: 0o700 });
  fs.chmodSync(disk, 0o755);
  give(path.join(disk, "tables"));
  server = await startPostgres();
  const address = await server.createDatabase();
  cp = await startControlPlane({
    KUMA_STORE_TYPE: "postgres",
    KUMA_STORE_POSTGRES_HOST: address.host,
    KUMA_STORE_POSTGRES_PORT: String(address.port),
    KUMA_STORE_POSTGRES_USER: address.user,
    KUMA_STORE_POSTGRES_PASSWORD: address.password,
    KUMA_STORE_POSTGRES_DB_NAME: address.database,
  });
  const root = server.superuser(address.database);
  await root.unsafe(`CREATE TABLESPACE small LOCATION '${path.join(disk, "tables")}'`);
  await root.unsafe("ALTER TABLE resources SET TABLESPACE small");
});
test.after(async () => {
  await cp?.stop();
  await server?.close();
  kumactl.close();
  run("umount", "-l", disk);
  fs.rmSync(disk, { recursive: true, force: true });
});

/** Writes into the file until the disk has no byte left. */
function fill(file: string): void {
  const descriptor = fs.openSync(file, "a");
  try {
    for (const size of [65_536, 4_096]) {
      try {
        for (;;) fs.writeSync(descriptor, Buffer.alloc(size, 1));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
      }
    }
  } finally {
    fs.closeSync(descriptor);
  }
}

test("the disk has no room for a row: a failure with PostgreSQL's message until there is room again", async () => {
  await kumactl.until(cp.api, "store", "success");
  const ballast = path.join(disk, "ballast");
  fill(ballast);
  const { reason = "" } = await kumactl.until(cp.api, "store", "error");
  assert.match(reason, /could not extend file .*No space left on device/);
  fs.rmSync(ballast);
  await kumactl.until(cp.api, "store", "success");
  assert.is(await put(cp.api, "/meshes/written", { type: "Mesh", name: "written" }), 201);
});

test.run();
