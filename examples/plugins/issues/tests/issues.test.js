import assert from 'node:assert';
import { test } from 'node:test';
import { Issues } from '../src/issues.js';

/** A forge that answers every request so, and keeps what it was asked. */
function forge(status, body) {
    const asked = [];
    const issues = new Issues('https://forge.example/', async (url, request) => {
        asked.push({ url, ...request });
        return new Response(body, { status });
    });
    return { asked, issues };
}

test('open issues are told without what waits to be merged', async () => {
    const lamp = { number: 2, title: 'It flickers', user: { login: 'ada' }, labels: [{ name: 'bug' }], html_url: 'u' };
    const { asked, issues } = forge(200, JSON.stringify([{ number: 3, pull_request: {} }, lamp]));

    const open = await issues.open('acme/lamp', 1000);

    assert.deepEqual(open, [{ number: 2, title: 'It flickers', author: 'ada', labels: ['bug'], url: 'u' }]);
    assert.equal(asked[0].url, 'https://forge.example/repos/acme/lamp/issues?state=open&per_page=50&limit=50');
});

test('an issue is filed as JSON', async () => {
    const { asked, issues } = forge(201, '{"number": 4, "title": "t", "html_url": "u"}');

    assert.equal((await issues.file('acme/lamp', 't', 'x')).number, 4);

    assert.equal(asked[0].body, '{"title":"t","body":"x"}');
    assert.equal(asked[0].headers['content-type'], 'application/json');
});

test('what the forge refuses is told with its status, and a bad name is never asked', async () => {
    const { asked, issues } = forge(404, 'Not Found');

    await assert.rejects(issues.open('acme/lamp'), { tag: 'refused', val: '404: Not Found' });
    await assert.rejects(issues.open('../lamp/..'), (error) => error.tag === 'bad-repository');

    assert.equal(asked.length, 1);
});
