// Reads a topic from its start with kafkajs until a value has a text: read.mjs BROKERS TOPIC GROUP TEXT
import { Kafka, logLevel } from 'kafkajs';

const [brokers, topic, groupId, text] = process.argv.slice(2);
const kafka = new Kafka({ clientId: 'conformance', brokers: brokers.split(','), logLevel: logLevel.NOTHING });
const consumer = kafka.consumer({ groupId });

await consumer.connect();
try {
  await consumer.subscribe({ topic, fromBeginning: true });
  await new Promise((found, failed) => {
    consumer.on(consumer.events.CRASH, ({ payload }) => failed(payload.error));
    consumer
      .run({ eachMessage: async ({ message }) => message.value?.toString().includes(text) && found() })
      .catch(failed);
  });
} finally {
  await consumer.disconnect();
}
