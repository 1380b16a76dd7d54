/** What the build stamps into the bundle; absent when the sources run without one. */
interface Build {
  readonly version: string;
  readonly gitTag: string;
  readonly gitCommit: string;
  readonly buildDate: string;
}

declare const __BUILD__: Build | undefined;

const unknown = "unknown";

/** Which build this is; `unknown` wherever nothing was stamped. */
export const build: Build =
  typeof __BUILD__ === "undefined"
    ? { version: unknown, gitTag: unknown, gitCommit: unknown, buildDate: unknown }
    : __BUILD__;

/** The text of `version`, and of `version --detailed` in its four lines, without the last line break. */
export function versionText(detailed: boolean): string {
  if (!detailed) return build.version;
  return [
    `Version:    ${build.version}`,
    `Git Tag:    ${build.gitTag}`,
    `Git Commit: ${build.gitCommit}`,
    `Build Date: ${build.buildDate}`,
  ].join("\n");
}

/** True for the flags that ask `version` for its long form, undefined for arguments that it does not know. */
export function wantsDetails(args: readonly string[]): boolean | undefined {
  if (args.length === 0) return false;
  return args.every((arg) => arg === "-a" || arg === "--detailed") ? true : undefined;
}
