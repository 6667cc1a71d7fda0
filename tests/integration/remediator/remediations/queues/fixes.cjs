"use strict";
// Runs the text of a permanent fix with a real BullMQ. Usage: node fixes.cjs REDIS_URL retry|pause TEXT; writes JSON.
const { Queue, Worker } = require(process.env.BULLMQ);
const IORedis = require("ioredis");

const [, , url, action, text] = process.argv;
const connection = new IORedis(url, { maxRetriesPerRequest: null });
const queue = new Queue("emails", { connection });
const AsyncFunction = Object.getPrototypeOf(async () => {}).constructor;
let tries = 0;

const actions = {
  // The application adds its job with the text; its first attempt fails as it did before.
  async retry() {
    const flaky = async () => { if (++tries < 2) throw new TypeError("no mailbox"); };
    const worker = new Worker("emails", flaky, { connection: connection.duplicate() });
    await new AsyncFunction("queue", "data", text)(queue, { to: "person@example.com" });
    return worker;
  },
  // The worker is the text, and the service that its job needs is down at first.
  async pause() {
    const isUp = async () => ++tries > 2;
    await queue.add("welcome", {}, { attempts: 1 });
    return new Function("Worker", "connection", "isUp", "process", `${text}\nreturn worker;`)(
      Worker, connection.duplicate(), isUp, async () => "sent");
  },
};

async function main() {
  const worker = await actions[action]();
  worker.on("error", () => {});
  const failed = [];
  do {
    await new Promise((again) => setTimeout(again, 50));
    failed.push((await queue.getJobCounts("failed")).failed);
  } while ((await queue.getJobCounts("completed")).completed === 0);
  const [job] = await queue.getJobs(["completed"]);
  process.stdout.write(JSON.stringify({ tries, failed: Math.max(...failed), name: job.name }));
  process.exit(0);
}
setTimeout(() => process.exit(1), 20_000);
main().catch((error) => {
  console.error(error);
  process.exit(1);
});
