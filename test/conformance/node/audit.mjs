// Reads the audit routes of a running Belfry with the official JavaScript client of the
// Cloudflare API and compares what it gets, field by field, with what was written.
// The tests of test/conformance run it with BELFRY_URL, BELFRY_TOKEN, ACCOUNT_ID and
// BELFRY_EXPECTED (a JSON file; its lists are newest first).
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import Cloudflare from 'cloudflare';

const { BELFRY_URL, BELFRY_TOKEN, ACCOUNT_ID, BELFRY_EXPECTED } = process.env;
const want = JSON.parse(readFileSync(BELFRY_EXPECTED, 'utf8'));
const account_id = ACCOUNT_ID;
const range = { account_id, since: want.since, before: want.before };
const ours = new Set(want.v1.map((item) => item.id));

let requests = 0;
const clientWith = (apiToken) =>
  new Cloudflare({
    apiToken,
    baseURL: `${BELFRY_URL}/client/v4`,
    fetch: (...call) => {
      requests += 1;
      return fetch(...call);
    },
  });
const client = clientWith(BELFRY_TOKEN);

// every pages to the end with the client's own pager.
async function every(pages) {
  const items = [];
  for await (const item of pages) items.push(item);
  return items;
}

// ids of what was written by the test: Belfry records its own acts in the same log.
const ids = (items) => items.map((item) => item.id).filter((id) => ours.has(id));

// contains checks that got has everything that is in expected, with the same content.
function contains(got, expected, where) {
  for (const [name, value] of Object.entries(expected)) {
    const place = `${where}.${name}`;
    if (value !== null && typeof value === 'object' && !Array.isArray(value) && !open.has(name)) {
      assert.ok(got?.[name] !== null && typeof got?.[name] === 'object', `${place} is ${JSON.stringify(got?.[name])}`);
      contains(got[name], value, place);
    } else {
      assert.deepEqual(got?.[name], value, place);
    }
  }
}
// What a customer wrote is compared as a whole: a member too many is an error as well.
const open = new Set(['metadata', 'newValueJson', 'oldValueJson']);

// nested turns "actor.email" into {actor: {email}}, as the client's types want it.
function nested(query) {
  const params = {};
  for (const [name, values] of Object.entries(query)) {
    const value = values.length > 1 || name.endsWith('.not') || name === 'product_category' ? values : values[0];
    const [first, second] = name.split('.');
    if (second) params[first] = { ...params[first], [second]: value };
    else params[first] = value;
  }
  return params;
}

async function fails(call, type, status, names) {
  requests = 0;
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof type, `${error.constructor.name}: ${error.message}`);
    assert.equal(error.status, status);
    assert.equal(typeof error.errors[0]?.code, 'number');
    assert.ok(error.errors[0].message.length > 0);
    if (names) {
      const said = `${error.errors[0].source?.pointer} ${error.errors[0].message}`;
      assert.ok(said.includes(names), `${said} does not name ${names}`);
    }
    return true;
  });
  assert.equal(requests, 1, 'a permanent error was sent again');
}

const checks = {
  async 'every field of version 1 arrives as written'() {
    const items = new Map((await every(client.auditLogs.list({ account_id }))).map((item) => [item.id, item]));
    for (const item of want.v1) {
      const got = items.get(item.id);
      assert.ok(got, `${item.id} is missing`);
      contains(got, item, item.id);
      assert.equal(typeof got.action.result, 'boolean');
      for (const [text, json] of [['newValue', 'newValueJson'], ['oldValue', 'oldValueJson']]) {
        if (item[json] === undefined) continue;
        assert.equal(typeof got[text], 'string', `${item.id}.${text}`);
        if (got[text] !== item[json]) assert.deepEqual(JSON.parse(got[text]), item[json], `${item.id}.${text}`);
      }
    }
  },
  async 'every field of version 2 arrives as written'() {
    const items = new Map((await every(client.accounts.logs.audit.list(range))).map((item) => [item.id, item]));
    for (const item of want.v2) {
      assert.ok(items.has(item.id), `${item.id} is missing`);
      contains(items.get(item.id), item, item.id);
    }
  },
  async 'filters of version 1 find what they say'() {
    for (const read of want.cases_v1) {
      const got = ids(await every(client.auditLogs.list({ account_id, ...nested(read.query) })));
      assert.deepEqual(got, read.ids, read.name);
    }
  },
  async 'filters of version 2 find what they say'() {
    for (const read of want.cases_v2) {
      const got = ids(await every(client.accounts.logs.audit.list({ ...range, ...nested(read.query) })));
      assert.deepEqual(got, read.ids, read.name);
    }
  },
  async 'the pagers meet every event once'() {
    const all = want.v2.map((item) => item.id);
    for (const size of [1, 2, 3, 1000]) {
      const one = await every(client.auditLogs.list({ ...range, per_page: size }));
      assert.deepEqual(ids(one), all, `version 1, ${size} a page`);
      const two = await every(client.accounts.logs.audit.list({ ...range, limit: size }));
      assert.deepEqual(ids(two), all, `version 2, ${size} a page`);
      assert.equal(new Set(two.map((item) => item.id)).size, two.length, 'an event was met twice');
    }
  },
  async 'an empty cursor is none, and an empty filter an error'() {
    const got = await every(client.accounts.logs.audit.list({ ...range, cursor: null }));
    assert.deepEqual(ids(got), want.v2.map((item) => item.id));
    await fails(() => client.accounts.logs.audit.list({ ...range, actor_id: null }), Cloudflare.BadRequestError, 400);
  },
  async 'the history of a resource is whole'() {
    const window = { ...range, action_time: want.history.action_time };
    const got = await client.accounts.logs.audit.history(want.history.id, { ...window, direction: 'asc' });
    assert.deepEqual(got.map((item) => item.id), want.history.ids);
    assert.deepEqual(await client.accounts.logs.audit.history('never-written', window), []);
  },
  async 'every listed category can be asked for'() {
    for (const category of await every(client.accounts.logs.audit.productCategories({ account_id }))) {
      assert.ok(category.value && category.label && category.products.length > 0, JSON.stringify(category));
      await client.accounts.logs.audit.list({ ...range, product_category: [category.value] });
    }
  },
  async 'errors reach the caller at once'() {
    const { list } = client.accounts.logs.audit;
    const read = (more) => () => list.call(client.accounts.logs.audit, { ...range, ...more });
    await fails(() => clientWith('x'.repeat(40)).auditLogs.list({ account_id }), Cloudflare.AuthenticationError, 401);
    await fails(() => clientWith(want.writer_token).auditLogs.list({ account_id }), Cloudflare.PermissionDeniedError, 403);
    await fails(() => client.auditLogs.list({ account_id: '0'.repeat(32) }), Cloudflare.NotFoundError, 404);
    await fails(read({ since: undefined }), Cloudflare.BadRequestError, 400, 'since');
    await fails(read({ before: 'tomorrow' }), Cloudflare.BadRequestError, 400, 'before');
    await fails(read({ cursor: 'AAAA' }), Cloudflare.BadRequestError, 400, 'cursor');
    await fails(read({ product_category: ['no-such-category'] }), Cloudflare.BadRequestError, 400, 'product_category');
  },
};

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  try {
    await check();
    console.log(`ok   ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL ${name}\n${error.stack}`);
  }
}
process.exitCode = failed > 0 ? 1 : 0;
