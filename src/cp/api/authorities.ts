import { type HttpReply, jsonReply } from "../../net/exchange.js";
import { StoreError } from "../../store/store.js";
import type { Rotations } from "../rotations.js";
import { errors, titles } from "./errors.js";

/** What the API shows and starts of certificate authorities and their rotations. */
export type RotationApi = Pick<Rotations, "status" | "list" | "rotate">;

export async function listAuthorities(rotations: RotationApi): Promise<HttpReply> {
  return jsonReply(200, { items: await rotations.list() });
}

export async function getAuthority(rotations: RotationApi, mesh: string): Promise<HttpReply> {
  const status = await rotations.status(mesh);
  return status === undefined ? errors.notFound(titles.retrieveAuthority) : jsonReply(200, status);
}

/** 202 with the state of the rotation that began, 200 with that of the one under way. */
export async function rotateAuthority(rotations: RotationApi, mesh: string): Promise<HttpReply> {
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
