import assert from 'node:assert';
import { test } from 'node:test';
import { hello, visit } from '../src/words.js';

test('visits are told behind the greeting', () => {
    assert.equal(hello('Ada'), 'Hello, Ada!');
    assert.equal(visit('Ada', 2n), 'Hello, Ada! Visit 2.');
});
