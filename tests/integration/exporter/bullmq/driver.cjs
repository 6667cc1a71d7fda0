// Runs commands on a queue, one line of JSON each, and answers each with a line {jobs: [ids]}: the jobs that it changed.
// Nothing happens by itself: a worker takes a job only on command. Argument: the port of Redis.
const { Queue, Worker } = require(process.env.BULLMQ)
const IORedis = require('ioredis')
const Redis = IORedis.Redis || IORedis
const redis = new Redis(Number(process.argv[2]), '127.0.0.1', { maxRetriesPerRequest: null })
const TOKEN = 'token'
let queue, worker, taken // nothing of theirs expires during a comparison

const ids = (jobs) => ({ jobs: jobs.filter(Boolean).map((job) => job.id) })
const nth = (list, place) => list.length ? list[place % list.length] : undefined
const options = ({ delay, priority, lifo, attempts, backoff }) =>
  ({ ...(delay && { delay }), ...(priority && { priority }), ...(lifo && { lifo }), ...(attempts && { attempts }), ...(backoff && { backoff }) })

const does = {
  async open ({ name, prefix }) {
    if (queue) { await worker.close(true); await queue.close() }
    queue = new Queue(name, { connection: redis, prefix })
    worker = new Worker(name, undefined, { connection: redis, prefix, autorun: false, stalledInterval: 600000, lockDuration: 600000, maxStalledCount: 1, metrics: { maxDataPoints: 60 } })
    taken = []
    await Promise.all([queue.waitUntilReady(), worker.waitUntilReady()])
    await queue.getCompletedCount()
    return ids([])
  },
  async add (order) { return ids([await queue.add('job', {}, options(order))]) },
  async bulk (order) { return ids(await queue.addBulk(Array.from({ length: order.count }, () => ({ name: 'job', data: {}, opts: options(order) })))) },
  async pause () { await queue.pause(); return ids([]) },
  async resume () { await queue.resume(); return ids([]) },
  async take () {
    if (await queue.isPaused()) return ids([])
    const job = await worker.getNextJob(TOKEN, { block: false })
    if (job) taken.push(job)
    return ids([job])
  },
  async complete ({ place }) { return ids([await end(place, (job) => job.moveToCompleted('fine', TOKEN, false))]) },
  async fail ({ place }) { return ids([await end(place, (job) => job.moveToFailed(new Error('no'), TOKEN, false))]) },
  async retry ({ place }) {
    const job = nth(await queue.getFailed(), place)
    if (job) await job.retry('failed')
    return ids([job])
  },
  async retryAll () {
    const jobs = await queue.getFailed()
    await queue.retryJobs({ state: 'failed' })
    return ids(jobs)
  },
  async stall ({ place }) {
    const job = nth(taken, place)
    if (!job) return ids([])
    taken.splice(taken.indexOf(job), 1)
    await redis.del(queue.toKey(`${job.id}:lock`))
    return ids([job])
  },
  async check () {
    // The first check records jobs without a lock, the second marks them as stalled.
    for (let look = 0; look < 2; look++) {
      await redis.del(queue.toKey('stalled-check'))
      await worker.moveStalledJobsToWait()
    }
    return ids([])
  },
  async promote ({ place }) {
    const job = nth(await queue.getDelayed(), place)
    if (job) await job.promote()
    return ids([job])
  },
  async remove ({ place }) {
    const job = nth(await queue.getJobs(['wait', 'paused', 'prioritized', 'delayed', 'failed', 'completed']), place)
    if (job) await job.remove()
    return ids([job])
  },
  async reprioritize ({ place, priority }) {
    const job = nth(await queue.getJobs(['wait', 'paused', 'prioritized']), place)
    if (job) await job.changePriority({ priority })
    return ids([job])
  },
  async drain () { await queue.drain(); return ids([]) },
  async obliterate () {
    await queue.pause()
    await queue.obliterate({ force: true })
    taken = []
    return ids([])
  },
  async schedule ({ every }) {
    if (queue.upsertJobScheduler) return ids([await queue.upsertJobScheduler(`each${every}`, { every }, { name: 'job' })])
    return ids([await queue.add('job', {}, { repeat: { every } })])
  },
  async limit () { await worker.rateLimit(60000); return ids([]) },
  async concurrency ({ count }) { if (queue.setGlobalConcurrency) await queue.setGlobalConcurrency(count); return ids([]) }
}

async function end (place, move) {
  const job = nth(taken, place)
  if (!job) return
  taken.splice(taken.indexOf(job), 1)
  await move(job)
  return job
}

async function main () {
  console.log('ready')
  for await (const line of require('readline').createInterface({ input: process.stdin })) {
    const { does: what, ...order } = JSON.parse(line)
    if (queue) await redis.del(queue.toKey('limiter')) // a limit lasts until the next step
    if (worker) worker.limitUntil = 0
    // A refusal by BullMQ itself (a scheduler's job cannot be removed) is fine: the queue stays unchanged.
    console.log(JSON.stringify(await does[what](order).catch((error) => ({ jobs: [], refused: error.message }))))
  }
  process.exit(0)
}
main().catch((error) => { console.error(error); process.exit(1) })
