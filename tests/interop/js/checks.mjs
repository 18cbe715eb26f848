// What `run` counts, the records that are put, and what must be true of what arrives.

const client = process.env.INTEROP_CLIENT;

export function check(name, good, detail) {
  console.log(good ? `ok    ${client}: ${name}` : `FAIL  ${client}: ${name}: ${JSON.stringify(detail)}`);
}

/** Entries of `PutRecords`: number and key as text, then bytes that are no UTF-8. */
export function records(first, count) {
  return Array.from({ length: count }, (_, i) => {
    const key = `key-${(first + i) % 17}`;
    return { PartitionKey: key, Data: Buffer.concat([Buffer.from(`${first + i}|${key}|`), Buffer.from([0, 255, (first + i) % 256])]) };
  });
}

/** Checks that the entries `put` arrived, byte for byte, each once and in order; `arrived` has shard, sequence and data. */
export function checkAll(what, put, arrived) {
  const text = (data) => Buffer.from(data).toString("latin1");
  const seen = new Map();
  for (const { data } of arrived) seen.set(text(data), (seen.get(text(data)) ?? 0) + 1);
  const lost = put.filter(({ Data }) => !seen.has(text(Data)));
  check(`${what}: every record came, byte for byte`, lost.length === 0, `${lost.length} lost`);
  check(`${what}: no record came twice`, arrived.length === seen.size && seen.size <= put.length, `${arrived.length} came, ${seen.size} different`);
  const last = new Map();
  const wrong = [];
  for (const { shard, sequence, data } of arrived) {
    const [number, key] = text(data).split("|");
    for (const [lane, position] of [[shard, BigInt(sequence)], [key, BigInt(number)]]) {
      if (position <= (last.get(lane) ?? -1n)) wrong.push(`${lane} ${position}`);
      last.set(lane, position);
    }
  }
  check(`${what}: in order within each shard and each key`, wrong.length === 0, wrong.slice(0, 3));
}

/** Waits until `wanted()` is true; asks again every 50 ms. */
export async function until(name, wanted, seconds = 60) {
  const end = performance.now() + seconds * 1000;
  let found = await wanted();
  while (!found && performance.now() < end) {
    await new Promise((done) => setTimeout(done, 50));
    found = await wanted();
  }
  check(name, found, `not after ${seconds} s`);
  if (!found) process.exit(1);
  return found;
}
