// Makes queues with jobs in every state. Argument: the port of Redis.
const { Queue, Worker, FlowProducer } = require(process.env.BULLMQ)
const connection = { host: '127.0.0.1', port: Number(process.argv[2]), maxRetriesPerRequest: null }
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))

async function finished (queue, completed, failed) {
  for (;;) {
    if (await queue.getCompletedCount() === completed && await queue.getFailedCount() === failed) return
    await sleep(20)
  }
}

async function worked (queue) {
  await queue.addBulk([1, 2, 3].map((data) => ({ name: 'good', data: { data } })))
  await queue.addBulk([1, 2].map((data) => ({ name: 'bad', data: { data } })))
  const work = async (job) => {
    if (job.name === 'bad') throw new Error('upstream is out')
    if (job.name === 'endless') await sleep(600000)
  }
  const worker = new Worker(queue.name, work, { connection })
  await finished(queue, 3, 2)
  await queue.add('endless', {})
  while (await queue.getActiveCount() !== 1) await sleep(20)
  await worker.close(true)
}

async function mixed () {
  const queue = new Queue('emails', { connection })
  await worked(queue)
  const ago = (seconds) => ({ timestamp: Date.now() - seconds * 1000 })
  await queue.add('middle', {}, ago(60))
  await queue.add('oldest', {}, ago(120))
  await queue.add('new', {})
  await queue.add('last in, first out', {}, { lifo: true })
  for (const priority of [1, 2]) await queue.add('urgent', {}, { priority })
  for (const delay of [600000, 700000]) await queue.add('later', {}, { delay })
}

async function family () {
  for (const name of ['parents', 'children']) await only(name, []) // a producer of version 3 writes no key for them
  const producer = new FlowProducer({ connection })
  await producer.add({ name: 'parent', queueName: 'parents', children: [{ name: 'child', queueName: 'children' }] })
}

async function held () {
  const queue = new Queue('held', { connection })
  await queue.addBulk([1, 2].map((data) => ({ name: 'waits', data: { data } })))
  await queue.pause()
  await queue.add('waits', {})
}

async function only (name, jobs) {
  const queue = new Queue(name, { connection })
  for (const [job, options] of jobs) await queue.add(job, {}, options)
  await queue.getCompletedCount() // runs after the queue's own key is written, which nothing else waits for
}

async function main () {
  await mixed()
  await family()
  await held()
  await only('delayed', [['later', { delay: 600000 }]])
  await only('urgent', [['old', { priority: 3, timestamp: Date.now() - 30000 }], ['new', { priority: 3 }]])
  await only('empty', [])
  await only('emails-dlq', [['dead', { timestamp: Date.now() - 999000 }], ['dead', { delay: 600000 }]])
  process.exit(0)
}
main()
