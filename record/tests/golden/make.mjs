// Packs the cases of cases.json with AWS's aggregator for JavaScript: `npm install aws-kinesis-agg@4.0.4`, then
// `node make.mjs`. Writes one file a case, in hexadecimal.
import { createRequire } from 'node:module';
import { readFileSync, writeFileSync } from 'node:fs';

const require = createRequire(process.cwd() + '/');
const { RecordAggregator } = require('aws-kinesis-agg');
const here = new URL('.', import.meta.url);

for (const [name, records] of Object.entries(JSON.parse(readFileSync(new URL('cases.json', here))))) {
  const aggregator = new RecordAggregator();
  for (const { key, hash, hex, times = 1 } of records) {
    const data = Buffer.from(hex.repeat(times), 'hex');
    aggregator.addUserRecord({ partitionKey: key, explicitHashKey: hash, data });
  }
  writeFileSync(new URL(`${name}.node.hex`, here), aggregator.build().data.toString('hex') + '\n');
}
