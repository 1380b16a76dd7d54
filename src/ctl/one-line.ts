/** Words of Envoys, servers and users in one line, without what steers a terminal. */
export const oneLine = (text: string): string => text.replaceAll(/[\s\p{Cc}\p{Cf}]+/gu, " ").trim();
