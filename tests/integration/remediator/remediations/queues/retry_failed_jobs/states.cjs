"use strict";
// Brings queues into the requested states. Usage: node states.cjs REDIS_URL JSON
// JSON is a list of {queue, jobs: [{state, opts}], flow, paused}; states: failed, completed, active, delayed, waiting.
const { FlowProducer, Queue, Worker } = require(process.env.BULLMQ);
const IORedis = require("ioredis");

const [, , url, text] = process.argv;
const connections = [];
const connection = () => {
  const made = new IORedis(url, { maxRetriesPerRequest: null });
  connections.push(made);
  return made;
};

const fails = async (job) => {
  if (job.data.state === "failed") throw new TypeError("no mailbox");
};

// Processes jobs until the given number have ended; BullMQ does not always report a parent that fails with its child.
function work(queue, count) {
  return new Promise((resolve) => {
    const worker = new Worker(queue.name, fails, { connection: connection(), concurrency: 1 });
    const look = async () => {
      const { failed, completed } = await queue.getJobCounts("failed", "completed");
      if (failed + completed === count) resolve(worker.close());
    };
    worker.on("completed", look);
    worker.on("failed", look);
    worker.on("error", () => {});
  });
}

async function flow(name) {
  const flows = new FlowProducer({ connection: connection() });
  const opts = { attempts: 1, failParentOnFailure: true };
  const data = { state: "failed" };
  await flows.add({ name: "parent", queueName: name, data, opts, children: [{ name: "child", queueName: name, data, opts }] });
}

async function make({ queue: name, jobs, flow: family, paused }) {
  const queue = new Queue(name, { connection: connection() });
  await queue.waitUntilReady();
  const add = (state) =>
    Promise.all(jobs.filter((job) => job.state === state).map(({ opts }) => queue.add("welcome", { state }, { attempts: 1, ...opts })));
  const ending = (await add("failed")).length + (await add("completed")).length + (family ? 2 : 0);
  if (family) await flow(name);
  if (ending) await work(queue, ending);
  const active = await add("active");
  const taker = new Worker(name, null, { connection: connection(), autorun: false });
  for (const _ of active) await taker.getNextJob("a worker that takes its time");
  await add("delayed");
  await add("waiting");
  if (paused) await queue.pause();
}

async function main() {
  for (const each of JSON.parse(text)) await make(each);
  process.exit(0);
}
main().catch((error) => {
  console.error(error);
  process.exit(1);
});
