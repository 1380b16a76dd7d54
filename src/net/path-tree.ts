import { nearest } from "../lib/suggest.js";

interface Node<Value> {
  /** By segment, percent-decoded. */
  readonly literals: Map<string, Node<Value>>;
  /** The literals that may be suggested. */
  readonly words: string[];
  parameter: Node<Value> | undefined;
  value: Value | undefined;
}

/** The value of a path, and its parameters in order, percent-decoded. */
export interface Found<Value> {
  readonly value: Value;
  readonly texts: readonly string[];
}

/**
 * Maps path patterns such as `/meshes/{mesh}/explain` to values; a segment in braces is a parameter that matches any
 * text. A lookup walks the segments of the path: its time depends neither on the number of patterns nor on what follows
 * the first unknown segment.
 */
export interface PathTree<Value> {
  /**
   * The value of a pattern, created by `make` if there is none.
   * @param hidden excludes the pattern from suggestions
   * @throws Error for a malformed pattern, or one that is ambiguous with an existing one
   */
  at(pattern: string, make: () => Value, hidden?: boolean): Value;
  /**
   * Accepts percent-encoding and one trailing slash; undefined for an unknown path, an empty segment or invalid
   * encoding.
   */
  find(path: string): Found<Value> | undefined;
  /** The known path nearest to an unknown one, with the parameters as they were sent. */
  suggest(path: string): string | undefined;
}

const parameterSegment = /^\{[a-z][A-Za-z]*\}$/;
const literalSegment = /^[A-Za-z0-9_.+-]+$/;

/** The parameter names of a pattern, in order. */
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

/** Undefined for invalid percent-encoding. */
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

  /** The child node for the next segment of a pattern, created if needed. */
  function grow(node: Node<Value>, pattern: string, segment: string, hidden: boolean): Node<Value> {
    const isParameter = parameterSegment.test(segment);
    if (!isParameter && !literalSegment.test(segment)) throw new Error(`"${pattern}" is no pattern of a path`);
    // A resource may have any name, so a literal in the same place could hide one.
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
        // Either no path continues here, and this one is only too long; or none of the continuations is similar.
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
