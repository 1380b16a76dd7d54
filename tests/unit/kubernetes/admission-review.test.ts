import * as assert from "uvu/assert";
import { admissionReview, readAdmissionReview, type Verdict } from "../../../src/kubernetes/admission-review.js";
import { add, pointer } from "../../../src/kubernetes/json-patch.js";
import { suite } from "../../support/suite.js";

const test = suite("AdmissionReviews");

const review = (request: object, more: object = {}) => ({
  apiVersion: "admission.k8s.io/v1",
  kind: "AdmissionReview",
  request: { uid: "u", operation: "CREATE", kind: { group: "", version: "v1", kind: "Pod" }, ...request },
  ...more,
});

test("are read with everything that a webhook may need, and with nothing of another type", () => {
  const read = readAdmissionReview(
    review({
      namespace: "demo",
      object: { a: 1 },
      oldObject: null,
      dryRun: true,
      userInfo: { username: "x", groups: ["g", 5] },
    }),
  );
  assert.equal(read, {
    uid: "u",
    operation: "CREATE",
    kind: { group: "", version: "v1", kind: "Pod" },
    subResource: "",
    name: "",
    namespace: "demo",
    dryRun: true,
    userInfo: { username: "x", groups: ["g"] },
    object: { a: 1 },
    oldObject: undefined,
  });
});

test("of other forms are rejected with what is wrong", () => {
  for (const [document, problem] of [
    [[], "an AdmissionReview has to be an object"],
    [review({}, { kind: "Pod" }), 'kind is "Pod", but has to be "AdmissionReview"'],
    [
      review({}, { apiVersion: "admission.k8s.io/v1beta1" }),
      'apiVersion is "admission.k8s.io/v1beta1", but has to be "admission.k8s.io/v1"',
    ],
    [review({}, { request: undefined }), "request has to be an object"],
    [review({ uid: "" }), "request.uid has to be text"],
    [review({ uid: 5 }), "request.uid has to be text"],
    [
      review({ operation: "PATCH" }),
      'request.operation is "PATCH", but has to be one of CREATE, UPDATE, DELETE, CONNECT',
    ],
  ] as const) {
    assert.is(readAdmissionReview(document), problem);
  }
});

const reviewed = { uid: "u", name: "p", kind: { group: "", version: "v1", kind: "Pod" } };
const response = (verdict: Verdict) =>
  (admissionReview(reviewed, verdict) as { readonly response: Record<string, unknown> }).response;

test("are answered without a patch where there is nothing to change", () => {
  assert.equal(response({ allowed: true, patch: [], warnings: [] }), { uid: "u", allowed: true });
});

test("carry a patch in base64, whose keys are escaped", () => {
  const patch = [add(pointer("metadata", "annotations", "a/b~c"), "d")];
  const { patchType, patch: encoded } = response({ allowed: true, patch });
  assert.is(patchType, "JSONPatch");
  assert.equal(JSON.parse(Buffer.from(String(encoded), "base64").toString()), [
    { op: "add", path: "/metadata/annotations/a~1b~0c", value: "d" },
  ]);
});

test("deny with a code and causes", () => {
  const verdict: Verdict = { allowed: false, code: 422, message: "no", causes: [{ field: "spec", message: "wrong" }] };
  assert.equal(response(verdict), {
    uid: "u",
    allowed: false,
    status: {
      status: "Failure",
      message: "no",
      reason: "Invalid",
      code: 422,
      details: {
        name: "p",
        group: "",
        kind: "Pod",
        causes: [{ reason: "FieldValueInvalid", message: "wrong", field: "spec" }],
      },
    },
  });
});

test("carry no more warnings than an API server passes on", () => {
  const { warnings } = response({ allowed: true, warnings: Array.from({ length: 50 }, () => "w".repeat(300)) });
  const texts = warnings as readonly string[];
  assert.is(texts.length, 16);
  assert.ok(texts.every((text) => text.length === 256));
});

test.run();
