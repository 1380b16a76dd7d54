import { type Flag, type Flags, isHidden, type Node } from "../lib/command.js";
import { locate } from "../lib/command-line.js";

export interface Candidate {
  readonly word: string;
  readonly about: string;
}

function flagNamed(flags: Flags, word: string): Flag<unknown> | undefined {
  return Object.values(flags).find(({ name, short, aliases }) =>
    word.startsWith("--") ? [name, ...aliases].includes(word.slice(2)) : short !== undefined && word === `-${short}`,
  );
}

function takesValue(flag: Flag<unknown> | undefined): flag is Flag<unknown> {
  return flag !== undefined && flag.kind !== "toggle";
}

function flagCandidates(flags: Flags): Candidate[] {
  const all = Object.values(flags).map(({ name, help }) => ({ word: `--${name}`, about: help }));
  return [...all, { word: "--help", about: "show help" }].sort((a, b) => (a.word < b.word ? -1 : 1));
}

/**
 * Candidates for the last word, given the words before it. Empty for values that only the user knows; shells then offer
 * files.
 */
export function complete(tree: Node, globalFlags: Flags, words: readonly string[]): readonly Candidate[] {
  const last = words.at(-1) ?? "";
  const before = words.slice(0, -1);
  const { node, rest } = locate(tree, globalFlags, before);
  const flags: Flags = { ...node.command?.flags, ...globalFlags };
  return candidates(node, rest, flags, before.at(-1) ?? "", last).filter(({ word }) => word.startsWith(last));
}

function candidates(
  node: Node,
  rest: readonly string[],
  flags: Flags,
  previous: string,
  last: string,
): readonly Candidate[] {
  const pending = flagNamed(flags, previous);
  if (takesValue(pending)) return (pending.choices ?? []).map((word) => ({ word, about: "" }));
  const bound = /^(--[a-z-]+)=/.exec(last)?.[1];
  if (bound !== undefined) {
    const choices = flagNamed(flags, bound)?.choices ?? [];
    return choices.map((choice) => ({ word: `${bound}=${choice}`, about: "" }));
  }
  if (last.startsWith("-")) return flagCandidates(flags);
  const visible = node.children.filter((child) => !isHidden(child));
  const given = positionals(flags, rest);
  if (given === 0 && visible.length > 0) {
    return visible
      .map((child) => ({ word: child.words.at(-1) ?? "", about: child.summary }))
      .sort((a, b) => (a.word < b.word ? -1 : 1));
  }
  const choices = node.command?.argChoices?.[given] ?? [];
  return choices.map((word) => ({ word, about: "" }));
}

/** How many positional arguments the words contain. */
function positionals(flags: Flags, rest: readonly string[]): number {
  let count = 0;
  for (let i = 0; i < rest.length; i++) {
    const word = rest[i] ?? "";
    if (!word.startsWith("-") || word === "-") count++;
    else if (takesValue(flagNamed(flags, word))) i++;
  }
  return count;
}
