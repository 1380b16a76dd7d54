// Preloaded into a server under measurement, by NODE_OPTIONS: tells over a Unix socket what a span of time cost it.
const { createServer } = require("node:net");
const { monitorEventLoopDelay } = require("node:perf_hooks");

// Every ten milliseconds, Node's default: an idle event loop shows these, and a delay of 40 ms is told as 50.
const delay = monitorEventLoopDelay({ resolution: 10 });
let cpu = process.cpuUsage();

const milliseconds = (nanoseconds) => nanoseconds / 1e6;

const answers = {
  start() {
    delay.reset();
    delay.enable();
    cpu = process.cpuUsage();
    return {};
  },
  stop() {
    delay.disable();
    const { user, system } = process.cpuUsage(cpu);
    return {
      p50: milliseconds(delay.percentile(50)),
      p99: milliseconds(delay.percentile(99)),
      max: milliseconds(delay.max),
      samples: delay.count,
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
