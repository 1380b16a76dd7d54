import { storms } from "./storm.js";
const r = await storms(Number(process.argv[2] ?? 1));
console.table(r.ours); console.table(r.floor);
