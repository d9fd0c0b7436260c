// A component in JavaScript that knows nothing of berth: typed functions and no more.
export const text = {
    count(text) {
        const words = text.split(/\s+/).filter((word) => word !== '');
        if (words.length === 0) throw { tag: 'empty' };
        if (words.length > 1000) throw { tag: 'too-long', val: words.length };
        const longest = words.reduce((best, word) => (word.length > best.length ? word : best));
        return { words: words.length, letters: BigInt(words.join('').length), longest };
    },
    reverse: (items) => [...items].reverse(),
};
