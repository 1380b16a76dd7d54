const codes = { red: 31, green: 32, yellow: 33 } as const;

/** The text in a colour of the terminal. Only for output that goes to one. */
export function paint(color: keyof typeof codes, text: string): string {
  return `\u001b[${codes[color]}m${text}\u001b[39m`;
}
