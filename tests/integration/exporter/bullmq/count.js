// Prints how many jobs BullMQ itself counts in each of its queues. Arguments: the port of Redis, then the queues.
const { Queue } = require(process.env.BULLMQ)
const [port, ...names] = process.argv.slice(2)
const connection = { host: '127.0.0.1', port: Number(port), maxRetriesPerRequest: null }
const states = ['waiting', 'paused', 'prioritized', 'active', 'delayed', 'failed', 'completed', 'waiting-children']

async function main () {
  const counts = {}
  for (const name of names) counts[name] = await new Queue(name, { connection }).getJobCounts(...states)
  console.log(JSON.stringify(counts))
  process.exit(0)
}
main()
