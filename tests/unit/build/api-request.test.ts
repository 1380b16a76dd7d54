import * as assert from "uvu/assert";
import { apiRequest } from "../../kubernetes/api-request.js";
import { suite } from "../../support/suite.js";

const test = suite("requests to a Kubernetes API server, as the fault proxy tells them apart");

const cases: readonly (readonly [request: string, verb: string, resource: string, group?: string, name?: string])[] = [
  ["GET /api/v1/pods?limit=500", "list", "pods"],
  ["GET /api/v1/namespaces/demo/pods?watch=true&resourceVersion=7", "watch", "pods"],
  ["GET /api/v1/namespaces/demo/pods?watch=1", "watch", "pods"],
  ["GET /api/v1/namespaces/demo/pods?watch=false", "list", "pods"],
  ["GET /api/v1/namespaces/demo/pods/web", "get", "pods", "", "web"],
  ["GET /api/v1/namespaces/demo/pods/web/log?follow=true", "get", "pods/log", "", "web"],
  ["POST /api/v1/namespaces/demo/serviceaccounts/web/token", "create", "serviceaccounts/token", "", "web"],
  ["DELETE /api/v1/namespaces/demo/pods", "deletecollection", "pods"],
  ["GET /api/v1/namespaces", "list", "namespaces"],
  ["DELETE /api/v1/namespaces/demo", "delete", "namespaces", "", "demo"],
  ["PUT /api/v1/namespaces/demo/finalize", "update", "namespaces/finalize", "", "demo"],
  ["PATCH /api/v1/namespaces/demo/status", "patch", "namespaces/status", "", "demo"],
  ["POST /apis/kuma.io/v1alpha1/meshes", "create", "meshes", "kuma.io"],
  ["PATCH /apis/kuma.io/v1alpha1/namespaces/demo/dataplanes/web", "patch", "dataplanes", "kuma.io", "web"],
  ["GET /version", "get", "/version"],
  ["GET /apis/kuma.io/v1alpha1", "get", "/apis/kuma.io/v1alpha1"],
];

for (const [request, verb, resource, group = "", name] of cases) {
  test(`"${request}" is to ${verb} ${resource}`, () => {
    const [method = "", place = ""] = request.split(" ");
    const { namespace: _, ...read } = apiRequest(method, place);
    assert.equal(read, { verb, resource, group, name });
  });
}

test.run();
