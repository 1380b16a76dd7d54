// Preloaded into a server under measurement, by NODE_OPTIONS: tells over a Unix socket what a span of time cost it.
const { createServer } = require("node:net");
const { monitorEventLoopDelay } = require("node:perf_hooks");

// Every ten milliseconds, Node's default: an idle event loop shows these, and a delay of 40 ms is told as 50.
const delay = monitorEventLoopDelay({ resolution: 10 });
const milliseconds = (nanoseconds) => nanoseconds / 1e6;

/** Milliseconds of CPU of this thread alone. */
function threadTime() {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1e3;
}

/**
 * What the event loop computed between two timers of a millisecond, which come once a turn: the delay without the times
 * in which the system let other processes run.
 */
let busy = [];
let last = 0;
let timer;

function tick() {
  const now = threadTime();
  busy.push(now - last);
  last = now;
  timer = setTimeout(tick, 1);
}

let cpu = process.cpuUsage();

const answers = {
  start() {
    delay.reset();
    delay.enable();
    busy = [];
    last = threadTime();
    tick();
    cpu = process.cpuUsage();
    return {};
  },
  stop() {
    delay.disable();
    clearTimeout(timer);
    const { user, system } = process.cpuUsage(cpu);
    busy.sort((a, b) => a - b);
    return {
      p50: milliseconds(delay.percentile(50)),
      p99: milliseconds(delay.percentile(99)),
      max: milliseconds(delay.max),
      busyP99: busy[Math.floor((busy.length - 1) * 0.99)],
      busyMax: busy.at(-1),
      cpuSeconds: (user + system) / 1e6,
      residentMiB: process.memoryUsage.rss() / 2 ** 20,
    };
  },
};

createServer((socket) => {
  socket.once("data", (word) => socket.end(JSON.stringify(answers[word.toString()]())));
})
  .listen(process.env.LOOP_PROBE_SOCKET)
  .unref();
