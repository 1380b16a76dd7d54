import { visible } from "../lib/visible.js";

/**
 * Puts text from Envoys, servers and users into one line: white space is collapsed and control characters of a terminal
 * are escaped.
 */
export const oneLine = (text: string): string => visible(text.replaceAll(/\s+/g, " ").trim());
