// The discovery servers under load: simulated proxies on the built control plane, beside bare servers that push the
// same bytes over as many streams.
import { UsageError } from "../support/usage-error.js";
import { measure } from "./load/measure.js";
import { readOptions } from "./load/options.js";
import { printGrowth, printTable, summary } from "./load/report.js";

async function run(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  const { services, outbounds, policies, mtls, mode, store } = options;
  const measurements = [];
  for (const dataplanes of options.dataplanes) {
    const title =
      `${dataplanes} dataplanes, ${services} services, ${outbounds} outbounds each, ${policies} permissions, ` +
      `${mtls ? "mTLS" : "no mTLS"}, ${mode}, ${store} store`;
    console.log(title);
    const measurement = await measure(dataplanes, options, (text) => console.log(`  ${text}`));
    printTable(measurement);
    measurements.push(measurement);
  }
  if (measurements.length > 1) printGrowth(measurements);
  console.log(JSON.stringify(summary(options, measurements)));
}

run().catch((error: unknown) => {
  console.error(error instanceof UsageError ? error.message : error);
  process.exitCode = 1;
});
