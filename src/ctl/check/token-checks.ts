import { UserError } from "../../lib/errors.js";
import { isJsonObject } from "../../resources/schema.js";
import { type Check, failure, success } from "./check.js";

/** What a token says of itself; nothing here proves that it is true. */
export interface Claims {
  readonly name: string;
  readonly mesh: string;
  readonly expires: Date | undefined;
}

function part(text: string | undefined): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(text ?? "", "base64url").toString("utf8"));
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The claims of a dataplane token, or why it is none, whoever signed it. */
export function readClaims(token: string): Claims | string {
  const [header, payload, signature, ...more] = token.split(".");
  const [head, claims] = [part(header), part(payload)];
  if (head === undefined || claims === undefined || signature === undefined || more.length > 0) return "it is no JWT";
  if (head.alg !== "RS256" || signature === "") return "it is not signed with RS256";
  const { Name: name, Mesh: mesh, exp } = claims;
  if (typeof name !== "string" || name === "") return "it has no claim Name";
  if (typeof mesh !== "string" || mesh === "") return "it has no claim Mesh";
  if (exp !== undefined && typeof exp !== "number") return "its claim exp is no number";
  return { name, mesh, expires: exp === undefined ? undefined : new Date(exp * 1000) };
}

const tokenFile: Check = {
  id: "token-file",
  anchor: "check-token-file",
  description: "the token in the file is one for the dataplane",
  applies: ({ scope }) => scope.token !== undefined,
  run({ scope, machine }) {
    const { file = "", name = "", mesh = "" } = scope.token ?? {};
    const fix = `make one with \`kumactl generate dataplane-token --name=${name} --mesh=${mesh} > ${file}\``;
    let token: string;
    try {
      token = machine.readToken(file);
    } catch (error) {
      if (error instanceof UserError) return failure(error.message, fix);
      throw error;
    }
    const claims = readClaims(token);
    if (typeof claims === "string") return failure(`${file} holds no dataplane token: ${claims}`, fix);
    if (claims.name !== name || claims.mesh !== mesh) {
      return failure(`the token is for dataplane "${claims.name}" in mesh "${claims.mesh}"`, fix);
    }
    const { expires } = claims;
    if (expires !== undefined && expires <= machine.now()) {
      return failure(`the token expired at ${expires.toISOString()}`, fix);
    }
    const until = expires === undefined ? "it never expires" : `valid until ${expires.toISOString()}`;
    return success(`${until}; only the control plane can check its signature`);
  },
};

export const tokenChecks: readonly Check[] = [tokenFile];
