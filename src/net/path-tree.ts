import { nearest } from "../lib/suggest.js";

interface Node<Value> {
  /** By the segments as they are after percent-decoding. */
  readonly literals: Map<string, Node<Value>>;
  /** The literals that suggestions may name. */
  readonly words: string[];
  parameter: Node<Value> | undefined;
  value: Value | undefined;
}

/** What a path leads to, and the texts that stand in the place of its parameters, decoded and in their order. */
export interface Found<Value> {
  readonly value: Value;
  readonly texts: readonly string[];
}

/**
 * Values by path patterns such as `/meshes/{mesh}/explain`, where a segment in braces is a parameter that stands for any
 * text. A lookup walks the segments of the path: its time depends neither on the number of patterns nor on what follows
 * the first unknown segment.
 */
export interface PathTree<Value> {
  /**
   * The value of a pattern; `make` makes it when there is none.
   * @param hidden leaves the pattern out of suggestions
   * @throws Error for a pattern that is malformed, or ambiguous beside those that are there already
   */
  at(pattern: string, make: () => Value, hidden?: boolean): Value;
  /** Takes percent-encoding and one trailing slash; undefined for an unknown path, an empty segment and bad encoding. */
  find(path: string): Found<Value> | undefined;
  /** The known path that is nearest to an unknown one; its parameters are as they were sent. */
  suggest(path: string): string | undefined;
}

const parameterSegment = /^\{[a-z][A-Za-z]*\}$/;
const literalSegment = /^[A-Za-z0-9_.+-]+$/;

/** The names of a pattern's parameters, in their order. */
export const parameterNames = (pattern: string): readonly string[] =>
  pattern
    .split("/")
    .filter((segment) => parameterSegment.test(segment))
    .map((segment) => segment.slice(1, -1));

const emptyNode = <Value>(): Node<Value> => ({
  literals: new Map(),
  words: [],
  parameter: undefined,
  value: undefined,
});

const noTexts: readonly string[] = [];

/** Where the path ends, without its trailing slash; 0 for the root. */
const lengthOf = (path: string) => (path.endsWith("/") ? path.length - 1 : path.length);

/** Where the segment that begins at `start` ends. */
function endOfSegment(path: string, start: number, end: number): number {
  const slash = path.indexOf("/", start);
  return slash < 0 || slash > end ? end : slash;
}

/** Undefined for a stray percent sign: it names nothing that could exist. */
function decoded(segment: string): string | undefined {
  if (!segment.includes("%")) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}

export function createPathTree<Value>(): PathTree<Value> {
  const root = emptyNode<Value>();

  /** The node below for one more segment of a pattern. */
  function grow(node: Node<Value>, pattern: string, segment: string, hidden: boolean): Node<Value> {
    const isParameter = parameterSegment.test(segment);
    if (!isParameter && !literalSegment.test(segment)) throw new Error(`"${pattern}" is no pattern of a path`);
    // A resource may have any name, so that a literal in the same place would hide one.
    if (isParameter ? node.literals.size > 0 : node.parameter !== undefined) {
      throw new Error(`"${pattern}" is ambiguous: another path has a ${isParameter ? "literal" : "parameter"} there`);
    }
    if (isParameter) {
      node.parameter ??= emptyNode();
      return node.parameter;
    }
    let next = node.literals.get(segment);
    if (next === undefined) {
      next = emptyNode();
      node.literals.set(segment, next);
    }
    if (!hidden && !node.words.includes(segment)) node.words.push(segment);
    return next;
  }

  return {
    at(pattern, make, hidden = false) {
      const segments = pattern === "/" ? [] : pattern.split("/").slice(1);
      if (!pattern.startsWith("/")) throw new Error(`"${pattern}" is no pattern of a path`);
      const node = segments.reduce((above, segment) => grow(above, pattern, segment, hidden), root);
      node.value ??= make();
      return node.value;
    },

    find(path) {
      if (!path.startsWith("/")) return undefined;
      const end = lengthOf(path);
      let node = root;
      let texts: string[] | undefined;
      for (let at = 0; at < end; ) {
        const stop = endOfSegment(path, at + 1, end);
        const segment = decoded(path.slice(at + 1, stop));
        if (segment === undefined || segment === "") return undefined;
        let next = node.literals.get(segment);
        if (next === undefined) {
          next = node.parameter;
          if (next === undefined) return undefined;
          if (texts === undefined) texts = [segment];
          else texts.push(segment);
        }
        node = next;
        at = stop;
      }
      return node.value === undefined ? undefined : { value: node.value, texts: texts ?? noTexts };
    },

    suggest(path) {
      let node = root;
      let walked = "";
      let suggestion: string | undefined;
      const end = path.startsWith("/") ? lengthOf(path) : 0;
      for (let at = 0; at < end; ) {
        const stop = endOfSegment(path, at + 1, end);
        const sent = path.slice(at + 1, stop);
        const segment = decoded(sent);
        if (segment === undefined || segment === "") return undefined;
        const word = nearest(segment, node.words);
        const next = word === undefined ? node.parameter : node.literals.get(word);
        // Nothing comes behind, so that the path is only too long; or something does that is nothing like it.
        if (next === undefined) return node.words.length === 0 ? suggestion : undefined;
        walked += `/${word ?? sent}`;
        node = next;
        if (node.value !== undefined) suggestion = walked;
        at = stop;
      }
      return suggestion;
    },
  };
}
