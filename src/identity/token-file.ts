import { readFileSync } from "node:fs";
import { messageOf, UserError } from "../lib/errors.js";
import { longestToken } from "./token-limit.js";

/**
 * Reads the dataplane token. White space around it is dropped: a line break within gRPC metadata makes every call fail.
 * Throws UserError("token.unreadable" | "token.empty" | "token.too-long") naming the file.
 */
export function readToken(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new UserError("token.unreadable", `could not read file ${file}: ${messageOf(error)}`, { cause: error });
  }
  const token = text.trim();
  if (token === "") throw new UserError("token.empty", `token under file ${file} is empty`);
  if (token.length > longestToken) {
    throw new UserError("token.too-long", `file ${file} is no token: it is longer than ${longestToken} characters`);
  }
  return token;
}
