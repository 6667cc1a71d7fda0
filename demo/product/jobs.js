"use strict";
// The product's e-mails as BullMQ jobs: a steady producer, and workers that call an upstream for each job.
//
// Usage: node jobs.js SETTINGS.json, a file {redis_url, upstream_url, port, queue}. It listens on 127.0.0.1:port:
//   GET  /healthy         200 once the worker accepts jobs
//   POST /jobs?count=20   adds that many jobs at once and answers {ids}
//   POST /dead-letters?count=12  adds that many jobs to the dead-letter queue, which has no worker, and answers {ids}
//   GET  /jobs?ids=1,2    answers {jobs: [{id, state, attempts, finished_ms, reason}]}; state is BullMQ's
const fs = require("node:fs");
const http = require("node:http");
const { MetricsTime, Queue, Worker } = require("bullmq5");
const IORedis = require("ioredis");

const settings = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
const EVERY_MS = 500;
const DIGEST_MS = 60_000;
// One attempt: a failed job stays failed until the remediator retries it; BullMQ does not.
const OPTIONS = { attempts: 1, removeOnComplete: { count: 5000 }, removeOnFail: false };

// BullMQ's workers block on Redis, so ioredis must not abort commands.
const connect = () => new IORedis(settings.redis_url, { maxRetriesPerRequest: null });
const complain = (error) => console.error(`${new Date().toISOString()} ${error.message}`);

async function send(job) {
  const answer = await fetch(`${settings.upstream_url}/send`, { signal: AbortSignal.timeout(2000) });
  if (!answer.ok) throw new Error(`the upstream answered ${answer.status}`);
  return { to: job.data.to };
}

const queue = new Queue(settings.queue, { connection: connect() });
const metrics = { maxDataPoints: MetricsTime.ONE_HOUR };
const worker = new Worker(settings.queue, send, { connection: connect(), concurrency: 5, metrics });
for (const part of [queue, worker]) part.on("error", complain);

let number = 0;
const next = () => ({ name: "welcome", data: { to: `customer-${(number += 1)}` }, opts: OPTIONS });
const add = async (count) => (await queue.addBulk(Array.from({ length: count }, next))).map((job) => job.id);

const deadLetters = new Queue(`${settings.queue}-dlq`, { connection: connect() });
deadLetters.on("error", complain);
const addDead = async (count) => (await deadLetters.addBulk(Array.from({ length: count }, next))).map((job) => job.id);

async function describe(id) {
  const job = await queue.getJob(id);
  if (!job) return { id, state: "gone" };
  const state = await job.getState();
  return { id, state, attempts: job.attemptsStarted, finished_ms: job.finishedOn ?? null, reason: job.failedReason ?? "" };
}

async function answer(request) {
  const url = new URL(request.url, "http://127.0.0.1");
  switch (`${request.method} ${url.pathname}`) {
    case "GET /healthy":
      await worker.waitUntilReady();
      return {};
    case "POST /jobs":
      return { ids: await add(Number(url.searchParams.get("count"))) };
    case "POST /dead-letters":
      return { ids: await addDead(Number(url.searchParams.get("count"))) };
    case "GET /jobs":
      return { jobs: await Promise.all(url.searchParams.get("ids").split(",").map(describe)) };
    default:
      return undefined;
  }
}

const server = http.createServer(async (request, response) => {
  try {
    const body = await answer(request);
    response.writeHead(body ? 200 : 404, { "content-type": "application/json" });
    response.end(JSON.stringify(body ?? { error: "unknown path" }));
  } catch (error) {
    complain(error);
    response.writeHead(500, { "content-type": "application/json" });
    response.end(JSON.stringify({ error: error.message }));
  }
});
server.listen(settings.port, "127.0.0.1");
const steady = setInterval(() => add(1).catch(complain), EVERY_MS);
const digest = { name: "digest", data: { to: "customer-0" }, opts: OPTIONS };
queue.upsertJobScheduler("digest", { every: DIGEST_MS }, digest).catch(complain);

async function stop() {
  clearInterval(steady);
  server.close();
  await worker.close();
  await queue.close();
  await deadLetters.close();
  process.exit(0);
}
process.on("SIGTERM", stop);
process.on("SIGINT", stop);
