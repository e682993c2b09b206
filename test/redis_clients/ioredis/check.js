// SPDX-License-Identifier: Apache-2.0
// node check.js check|count plain|cluster PORT...: what ioredis does with a cluster of ours.
const assert = require("node:assert");
const Redis = require("ioredis");

const [mode, kind, ...ports] = process.argv.slice(2);

function connect() {
  const nodes = ports.map((port) => ({ host: "127.0.0.1", port: Number(port) }));
  return kind === "plain"
    ? new Redis({ ...nodes[0], maxRetriesPerRequest: 0 })
    : new Redis.Cluster(nodes, {
        maxRedirections: 0,   // else it repeats an INCR whose answer was lost, and counts twice
        redisOptions: { maxRetriesPerRequest: 0 },
      });
}

async function check(client) {
  assert.equal(await client.set("io:k", "v", "EX", 100), "OK");
  assert.equal(await client.get("io:k"), "v");
  assert.ok((await client.ttl("io:k")) > 90);
  assert.equal(await client.set("io:k", "w", "NX"), null);
  assert.equal(await client.incrbyfloat("io:f", "10.5"), "10.5");
  assert.deepEqual(await client.mget("{io}a", "{io}b"), [null, null]);
  assert.equal(await client.mset("{io}a", 1, "{io}b", 2), "OK");
  const pipeline = client.pipeline();
  for (let n = 0; n < 100; n++) pipeline.set(`{io}p${n}`, n).get(`{io}p${n}`);
  const replies = await pipeline.exec();
  assert.ok(replies.every(([error, value], at) =>
    error === null && value === (at % 2 ? String((at - 1) / 2) : "OK")));
  const done = await client.multi().incr("{io}n").incr("{io}n").exec();
  assert.deepEqual(done, [[null, 1], [null, 2]]);
  await assert.rejects(client.call("LPUSH", "l", "1"), /unknown command/);
  await Promise.all(Array.from({ length: 50 }, (_, n) => client.set(`io:${n}`, n)));
  const values = await Promise.all(Array.from({ length: 50 }, (_, n) => client.get(`io:${n}`)));
  assert.deepEqual(values, Array.from({ length: 50 }, (_, n) => String(n)));
  console.log("ok");
}

// Counts until its input ends, and says how often that was answered and how often nobody knows.
async function count(client) {
  let answered = 0;
  let unknown = 0;
  let stop = false;
  process.stdin.on("data", () => {}).on("end", () => { stop = true; });
  while (!stop) {
    try {
      await client.incr("io:count");
      answered++;
      if (answered === 100) console.log("counting");
    } catch (error) {
      if (!/^(CLUSTERDOWN|BUSY|TIMEOUT)/.test(error.message)) unknown++;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
  console.log(`${answered} ${unknown}`);
}

const client = connect();
client.on("error", () => {});
(mode === "check" ? check : count)(client)
  .then(() => process.exit(0))
  .catch((error) => { console.error(error); process.exit(1); });
