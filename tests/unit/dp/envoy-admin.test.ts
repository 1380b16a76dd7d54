import * as assert from "uvu/assert";
import { countConnections, readListenerFailures, readListeners } from "../../../src/dp/envoy-admin.js";
import { suite } from "../../support/suite.js";

const test = suite("what kuma-dp reads of its Envoy's admin interface");

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

test("the counter of listeners that could not be created is read; it is left out while it is 0", () => {
  assert.is(readListenerFailures("listener_manager.listener_create_failure: 12\n"), 12);
  for (const other of ["", "\n", "listener_manager.lds.listener_create_failure: 3\n", "No such counter"]) {
    assert.is(readListenerFailures(other), 0, other);
  }
});

test("listeners that serve or warm up are there, those that drain are not", () => {
  const dump = {
    configs: [
      { name: "serves", active_state: { version_info: "1" } },
      { name: "warms up", warming_state: { version_info: "1" } },
      { name: "changes", active_state: {}, warming_state: {} },
      { name: "drains", draining_state: { version_info: "1" } },
      { name: "refused", error_state: {} },
    ],
  };
  assert.equal(readListeners(JSON.stringify(dump)), ["serves", "warms up", "changes"]);
  assert.equal(readListeners("{}"), [], "an Envoy without listeners");
});

test("a malformed list of listeners is not read as an empty one", () => {
  for (const strange of ["", "null", '{"configs": {}}', '{"configs": [{}]}', '{"configs": [null]}', "<html>"]) {
    assert.throws(() => readListeners(strange), undefined, strange);
  }
});

test.run();
