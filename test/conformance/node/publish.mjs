// Publishes events with kafkajs: publish.mjs BROKERS TOPIC KEY "EVENT\nEVENT..."
import { Kafka, Partitioners, logLevel } from 'kafkajs';

const [brokers, topic, key, events] = process.argv.slice(2);
const kafka = new Kafka({ clientId: 'conformance', brokers: brokers.split(','), logLevel: logLevel.NOTHING });
const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner, allowAutoTopicCreation: false });

await producer.connect();
try {
  const acknowledged = await producer.send({
    topic,
    acks: -1,
    messages: events.split('\n').map((value) => ({ key, value })),
  });
  const failed = acknowledged.filter((answer) => answer.errorCode !== 0);
  if (acknowledged.length === 0 || failed.length > 0) {
    throw new Error(`not acknowledged: ${JSON.stringify(acknowledged)}`);
  }
} finally {
  await producer.disconnect();
}
