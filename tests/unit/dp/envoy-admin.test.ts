import * as assert from "uvu/assert";
import { countConnections } from "../../../src/dp/envoy-admin.js";
import { suite } from "../../support/suite.js";

const test = suite("kuma-dp counts the connections of its Envoy");

test("connections of all listeners are added up; the admin's own and the per-worker repetition are not", () => {
  const stats = [
    "http.admin.downstream_cx_active: 1",
    "listener.127.0.0.1_9000.downstream_cx_active: 2",
    "listener.127.0.0.1_9000.worker_0.downstream_cx_active: 1",
    "listener.127.0.0.1_9000.worker_1.downstream_cx_active: 1",
    "listener.[__1]_80.downstream_cx_active: 3",
    "listener.admin.downstream_cx_active: 1",
    "listener.admin.main_thread.downstream_cx_active: 1",
    "",
  ];
  assert.is(countConnections(stats.join("\n")), 5);
});

test("no listener, no connection", () => {
  assert.is(countConnections(""), 0);
});

test.run();
