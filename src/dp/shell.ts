import { accessSync, constants } from "node:fs";

export const shell = "/bin/sh";

/** Whether there is a shell; our image has none. */
export function hasShell(): boolean {
  try {
    accessSync(shell, constants.X_OK);
    return true;
  } catch {
    // Missing, or not executable.
    return false;
  }
}
