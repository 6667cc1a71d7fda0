"use strict";
// One action on a real BullMQ queue. Usage: node queue.cjs REDIS_URL ACTION [JSON]; writes JSON.
const { FlowProducer, Queue, UnrecoverableError, Worker } = require(process.env.BULLMQ);
const IORedis = require("ioredis");

const [, , url, action, text = "{}"] = process.argv;
const given = { queue: "emails", count: 1, opts: {}, ...JSON.parse(text) };
const connections = [];
const connection = () => {
  const made = new IORedis(url, { maxRetriesPerRequest: null });
  connections.push(made);
  return made;
};
const prefix = given.prefix ?? "bull";
const queue = new Queue(given.queue, { connection: connection(), prefix });
const STATES = ["wait", "paused", "prioritized", "active", "delayed", "failed", "completed", "waiting-children"];

// Processes jobs until `enough` returns true.
function work(name, handle, enough, options = {}) {
  return new Promise((resolve) => {
    const worker = new Worker(name, async (job) => handle(job), { connection: connection(), prefix, concurrency: 1, ...options });
    const seen = [];
    const look = async (id) => {
      seen.push(id);
      if (await enough(seen)) resolve(worker.close().then(() => seen));
    };
    worker.on("completed", (job) => look(job.id));
    worker.on("failed", (job) => look(job.id));
    worker.on("error", () => {});
  });
}

const breaks = async (job) => {
  const error = new TypeError(`no mailbox for ${job.data.to}`);
  throw error;
};

// A class of the application's own, as BullMQ's documentation shows it.
class CardRefused extends UnrecoverableError {}

// The ways of an application to give up a job for good.
const givesUp = {
  unrecoverable: () => { throw new UnrecoverableError("this card is refused"); },
  "without a message": () => { throw new UnrecoverableError(); },
  derived: () => { throw new CardRefused("this card is refused"); },
  named: () => { throw Object.assign(new Error("this card is refused"), { name: "UnrecoverableError" }); },
  backoff: () => { throw new Error("the strategy of its backoff returns -1"); },
};

// A worker takes a job and dies; another one finds it stalled once more than it may be.
async function stall() {
  const token = "a worker that dies";
  const dying = new Worker(given.queue, null, { connection: connection(), autorun: false, lockDuration: 50 });
  await dying.getNextJob(token);
  const options = { connection: connection(), stalledInterval: 100, maxStalledCount: 0 };
  const finding = new Worker(given.queue, async () => "sent", options);
  finding.on("error", () => {});
  while ((await queue.getJobCounts("failed")).failed === 0) await new Promise((again) => setTimeout(again, 20));
  await finding.close();
}

const actions = {
  async giveUp() {
    const backoff = given.how === "backoff" ? { backoff: { type: "custom" } } : {};
    const job = await queue.add("welcome", {}, { attempts: given.attempts, ...backoff });
    if (given.how === "stalled") await stall();
    else await work(given.queue, givesUp[given.how], () => true, { settings: { backoffStrategy: () => -1 } });
    return job.id;
  },
  async fail() {
    const jobs = Array.from({ length: given.count }, (_, n) => ({
      name: "welcome",
      data: { to: `person-${n}@example.com` },
      opts: { attempts: 1, ...given.opts },
    }));
    const added = await queue.addBulk(jobs);
    await work(given.queue, breaks, (seen) => seen.length === given.count);
    return added.map((job) => job.id);
  },
  async complete() {
    return work(given.queue, async () => "sent", (seen) => seen.length === given.count);
  },
  async failAgain() {
    const some = async (job) => (given.ids.includes(job.id) ? breaks(job) : "sent");
    return work(given.queue, some, (seen) => seen.length === given.count);
  },
  async flow() {
    const flows = new FlowProducer({ connection: connection() });
    const opts = { attempts: 1, failParentOnFailure: true };
    const children = [{ name: "child", queueName: given.queue, data: {}, opts }];
    const tree = await flows.add({ name: "parent", queueName: given.queue, data: {}, opts: { attempts: 1 }, children });
    const parentFailed = async () => (await queue.getJobCounts("failed")).failed === 2;
    await work(given.queue, breaks, parentFailed);
    await flows.close().catch(() => {});
    return { parent: tree.job.id, child: tree.children[0].job.id };
  },
  async add() {
    const job = await queue.add("welcome", {}, given.opts);
    return job.id;
  },
  async retry() {
    return Promise.all(given.ids.map(async (id) => {
      try {
        await (await queue.getJob(id)).retry();
        return "retried";
      } catch (error) {
        return error.message;
      }
    }));
  },
  pause: () => queue.pause(),
  resume: () => queue.resume(),
  obliterate: () => queue.obliterate({ force: true }),
  counts: () => queue.getJobCounts(...STATES),
};

async function main() {
  await queue.waitUntilReady();
  const result = await actions[action]();
  process.stdout.write(JSON.stringify(result ?? null));
  await queue.close();
  for (const each of connections) each.disconnect();
  process.exit(0);
}
main().catch((error) => {
  console.error(error);
  process.exit(1);
});
