import assert from 'node:assert';
import { test } from 'node:test';
import { find, replace, split } from '../src/patterns.js';

test('places are told with their line and their groups', () => {
    const { found, more } = find('(?<key>\\w+)=(?<value>.*)', 'one=1\ntwo=2');

    assert.equal(more, false);
    assert.deepEqual(found[1], {
        text: 'two=2',
        at: 6,
        line: 2,
        groups: [
            { name: 'key', text: 'two' },
            { name: 'value', text: '2' },
        ],
    });
});

test('a group that took no part has no text', () => {
    assert.deepEqual(find('(a)|(b)', 'b').found[0].groups, [
        { name: '1', text: undefined },
        { name: '2', text: 'b' },
    ]);
});

test('more places than are wanted are said', () => {
    const { found, more } = find('a', 'aaa', {}, 2);

    assert.equal(found.length, 2);
    assert.equal(more, true);
});

test('options change what fits', () => {
    assert.equal(find('^b$', 'A\nB', { ignoreCase: true, multiline: true }).found.length, 1);
    assert.equal(find('a.b', 'a\nb', { dotAll: true }).found.length, 1);
    assert.equal(find('^b$', 'A\nB').found.length, 0);
});

test('groups can be named in what replaces them', () => {
    assert.equal(replace('(\\w+) (?:\\w+)', 'one two', '$1!'), 'one!');
    assert.deepEqual(split('[,;]\\s*', 'one, two;three'), ['one', 'two', 'three']);
});

test('an expression that is none is refused in words', () => {
    assert.throws(
        () => find('(', 'x'),
        (error) => error.startsWith('the expression is not right'),
    );
});
