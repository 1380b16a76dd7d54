const codes = { red: 31, green: 32, yellow: 33 } as const;

/** Colours text for a terminal. Use it only for output to one. */
export function paint(color: keyof typeof codes, text: string): string {
  return `\u001b[${codes[color]}m${text}\u001b[39m`;
}
