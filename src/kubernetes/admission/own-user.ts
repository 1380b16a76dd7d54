import type { KubeClient } from "../../kubeapi/client.js";
import { objectIn, textIn } from "../fields.js";

const reviews = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

/**
 * The user name by which the API server knows this control plane, and all others with the same ServiceAccount. Asked for
 * once.
 * @returns a function that throws KubeError while the API server can't be asked
 */
export function createOwnUser(client: Pick<KubeClient, "request">): () => Promise<string> {
  let known: string | undefined;
  return async () => {
    if (known !== undefined) return known;
    const review = { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" };
    const answer = await client.request("POST", reviews, review);
    const { username } = objectIn(objectIn(objectIn(answer).status).userInfo);
    if (textIn(username) === "") throw new Error("the API server does not say who this control plane is");
    known = textIn(username);
    return known;
  };
}
