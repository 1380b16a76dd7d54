/** Ignores case, dashes and underscores: `traffic_logs`, `TrafficLogs` and `traffic-logs` are the same word. */
function essence(word: string): string {
  return word.toLowerCase().replace(/[-_]/g, "");
}

/** The edit distance of two words: insertions, deletions, replacements, swaps of neighbours. */
function distance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, (beforeLast[j - 2] ?? 0) + 1);
      }
      row.push(best);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? 0;
}

/** Longer than any known name: a hostile word must not cost a quadratic comparison. */
const longestWord = 80;

/**
 * The known word that was probably meant, or undefined if none is close: within one edit for words of up to three
 * letters, two up to six, three beyond.
 */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  const wanted = essence(word);
  if (wanted === "" || wanted.length > longestWord) return undefined;
  let found: string | undefined;
  let allowed = wanted.length <= 3 ? 1 : wanted.length <= 6 ? 2 : 3;
  for (const candidate of known) {
    const edits = distance(wanted, essence(candidate));
    // If every letter was replaced, it is a different word, however few edits that took.
    if (edits <= allowed && edits < wanted.length) {
      found = candidate;
      allowed = edits - 1;
    }
  }
  return found;
}
