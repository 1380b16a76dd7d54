import { readClaims, tokenProblem } from "../../identity/token-claims.js";
import { UserError } from "../../lib/errors.js";
import { type Check, failure, success } from "./check.js";

const tokenFile: Check = {
  id: "token-file",
  anchor: "check-token-file",
  description: "the token in the file belongs to the dataplane",
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
    const problem = tokenProblem(token, { name, mesh }, machine.now());
    if (problem !== undefined) return failure(problem, fix);
    const claims = readClaims(token);
    const expires = typeof claims === "string" ? undefined : claims.expires;
    const until = expires === undefined ? "it never expires" : `valid until ${expires.toISOString()}`;
    return success(`${until}; only the control plane can check its signature`);
  },
};

export const tokenChecks: readonly Check[] = [tokenFile];
