import { type HttpReply, jsonReply } from "../../net/exchange.js";
import { StoreError } from "../../store/store.js";
import {
  type ReadContext,
  type ReadEndpoint,
  reads,
  type WriteContext,
  type WriteEndpoint,
  writes,
} from "./endpoint.js";
import { errors, titles } from "./errors.js";

export function authorityEndpoints({ rotations }: ReadContext): readonly ReadEndpoint[] {
  return [
    reads({
      path: "/certificate-authorities",
      title: titles.listAuthorities,
      handle: async () => jsonReply(200, { items: await rotations.list() }),
    }),
    reads({
      path: "/meshes/{mesh}/certificate-authority",
      title: titles.retrieveAuthority,
      async handle({ parameters: { mesh } }) {
        const status = await rotations.status(mesh);
        return status === undefined ? errors.notFound(titles.retrieveAuthority) : jsonReply(200, status);
      },
    }),
  ];
}

export const rotationEndpoints = ({ rotations }: WriteContext): readonly WriteEndpoint[] => [
  writes("POST", "rotate", {
    path: "/meshes/{mesh}/certificate-authority/rotate",
    title: titles.rotateAuthority,
    handle: ({ parameters: { mesh } }) => rotate(rotations, mesh),
  }),
];

/** 202 with the state of a new rotation, 200 with that of one in progress. */
async function rotate(rotations: WriteContext["rotations"], mesh: string): Promise<HttpReply> {
  try {
    const rotated = await rotations.rotate(mesh);
    if (rotated === undefined) return errors.notFound(titles.rotateAuthority);
    const { begun, status } = rotated;
    if (status.state === "unusable") return errors.unusableAuthority(status.reason ?? "");
    return jsonReply(begun ? 202 : 200, status);
  } catch (error) {
    if (error instanceof StoreError && error.kind !== "unavailable") return errors.conflict(titles.rotateAuthority);
    throw error;
  }
}
