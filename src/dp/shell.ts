import { accessSync, constants } from "node:fs";

export const shell = "/bin/sh";

/** Whether there is one; our image has none. */
export function hasShell(): boolean {
  try {
    accessSync(shell, constants.X_OK);
    return true;
  } catch {
    // Absent, or not ours to run.
    return false;
  }
}
