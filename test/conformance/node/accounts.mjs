// Works with accounts, roles, tokens and zones of a running Belfry through the official
// JavaScript client of the Cloudflare API. The tests of test/conformance run it with
// BELFRY_URL, BELFRY_TOKEN (an operator's) and ACCOUNT_ID.
import assert from 'node:assert/strict';
import Cloudflare from 'cloudflare';

const { BELFRY_URL, BELFRY_TOKEN, ACCOUNT_ID } = process.env;
const client = new Cloudflare({ apiToken: BELFRY_TOKEN, baseURL: `${BELFRY_URL}/client/v4` });
const account_id = ACCOUNT_ID;

// every pages to the end with the client's own pager.
async function every(pages) {
  const ids = [];
  for await (const item of pages) ids.push(item.id);
  assert.equal(new Set(ids).size, ids.length, 'an item was met twice');
  return ids;
}

const made = [];
for (const name of ['Node one', 'Node two', 'Node three']) {
  made.push((await client.accounts.create({ name, type: 'standard' })).id);
}
const all = await every(client.accounts.list());
for (const id of [...made, account_id]) assert.ok(all.includes(id), `${id} is not listed`);
for (const per_page of [1, 2]) {
  assert.deepEqual(await every(client.accounts.list({ per_page })), all, `${per_page} a page`);
}
assert.deepEqual(await every(client.accounts.list({ name: 'node two' })), [made[1]]);
assert.equal((await client.accounts.get({ account_id: made[0] })).name, 'Node one');

const roles = await every(client.accounts.roles.list({ account_id }));
assert.ok(roles.includes('owner') && roles.includes('viewer'), JSON.stringify(roles));
assert.deepEqual(await every(client.accounts.roles.list({ account_id, per_page: 4 })), roles);

const token = await client.accounts.tokens.verify({ account_id });
assert.equal(token.status, 'active');
await every(client.accounts.tokens.list({ account_id }));
await every(client.accounts.members.list({ account_id }));

for (const id of made) {
  const answer = await client.post(`/accounts/${id}/zones`, { body: { name: 'node.example' } });
  assert.equal(answer.success, true);
}
assert.equal((await every(client.zones.list({ name: 'node.example', per_page: 2 }))).length, 3);
const zones = await client.zones.list({ name: 'node.example', account: { id: made[2] } });
assert.deepEqual(zones.result.map((zone) => zone.account), [{ id: made[2], name: 'Node three' }]);
assert.ok(Array.isArray((await client.ips.list()).ipv4_cidrs));
console.log('ok');
