import { errorReply, type HttpReply, jsonReply } from "../../net/exchange.js";
import type { Answer, Diagnosis } from "../explain/diagnosis.js";
import { type ReadContext, type ReadEndpoint, reads } from "./endpoint.js";
import { errors, type Title, titles } from "./errors.js";

/** The policies and the sent configuration of a Dataplane, and explanations of traffic and problems in a mesh. */
export const explanationEndpoints = ({ diagnosis }: ReadContext): readonly ReadEndpoint[] => [
  reads({
    path: "/meshes/{mesh}/dataplanes/{name}/policies",
    title: titles.inspectDataplane,
    handle: ({ parameters: { mesh, name } }) => replyTo(titles.inspectDataplane, diagnosis.policies(mesh, name)),
  }),
  reads({
    path: "/meshes/{mesh}/dataplanes/{name}/xds",
    title: titles.inspectDataplane,
    handle: ({ request, parameters: { mesh, name } }) => showXds(diagnosis, mesh, name, request.query),
  }),
  reads({
    path: "/meshes/{mesh}/explain",
    title: titles.explainTraffic,
    handle: ({ request, parameters: { mesh } }) => explainTraffic(diagnosis, mesh, request.query),
  }),
  reads({
    path: "/meshes/{mesh}/problems",
    title: titles.findProblems,
    handle: async ({ parameters: { mesh } }) => replyTo(titles.findProblems, await diagnosis.problems(mesh)),
  }),
];

/** 404 if the path names something that doesn't exist, 400 if a parameter does; either way with a suggestion. */
function replyTo<T>(title: Title, answer: Answer<T>): HttpReply {
  if (answer.kind === "found") return jsonReply(200, answer.value);
  const { field, message } = answer;
  const named = field === "mesh" || field === "name";
  return errorReply(named ? "request.absent" : "request.invalid", { title }, { causes: [{ field, message }] });
}

/** The last sent configuration, or with `diff=true` what is not acknowledged. */
async function showXds(diagnosis: Diagnosis, mesh: string, name: string, query: string): Promise<HttpReply> {
  const diff = new URLSearchParams(query).get("diff") ?? "false";
  if (diff !== "true" && diff !== "false" && diff !== "") {
    return errors.badParameter(titles.inspectDataplane, "diff", diff, "true or false");
  }
  if (diff === "false") return replyTo(titles.inspectDataplane, await diagnosis.configDump(mesh, name));
  return replyTo(titles.inspectDataplane, await diagnosis.configDiff(mesh, name));
}

/** Whether and how traffic gets from the service `from` to the service `to`. */
async function explainTraffic(diagnosis: Diagnosis, mesh: string, query: string): Promise<HttpReply> {
  const parameters = new URLSearchParams(query);
  const from = parameters.get("from") ?? "";
  const to = parameters.get("to") ?? "";
  const causes = Object.entries({ from, to })
    .filter(([, service]) => service === "")
    .map(([field]) => ({ field, message: `is missing: name a service, as in explain?from=web&to=backend` }));
  if (causes.length > 0) return errorReply("request.invalid", { title: titles.explainTraffic }, { causes });
  return replyTo(titles.explainTraffic, await diagnosis.traffic(mesh, from, to));
}
