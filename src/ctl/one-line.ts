import { visible } from "../lib/visible.js";

/** Text of Envoys, servers and users in one line: white space becomes single blanks, and what steers a terminal is escaped. */
export const oneLine = (text: string): string => visible(text.replaceAll(/\s+/g, " ").trim());
