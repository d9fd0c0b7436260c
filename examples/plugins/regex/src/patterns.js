// Plain JavaScript, which Node.js can test.

/** Places that are told when nobody says how many. */
const LIMIT = 100;
const MOST = 1000;

/** The expression, or a text that says what is wrong with it. */
function compile(pattern, options = {}) {
    const flags = ['g', 'u'];
    if (options.ignoreCase) flags.push('i');
    if (options.multiline) flags.push('m');
    if (options.dotAll) flags.push('s');
    try {
        return new RegExp(pattern, flags.join(''));
    } catch (error) {
        throw `the expression is not right: ${error.message}`;
    }
}

function groupsOf(match) {
    const names = Object.entries(match.groups ?? {});
    if (names.length > 0) {
        return names.map(([name, text]) => ({ name, text }));
    }
    return match.slice(1).map((text, index) => ({ name: String(index + 1), text }));
}

export function find(pattern, text, options, limit = LIMIT) {
    const wanted = Math.min(limit, MOST);
    const found = [];
    let more = false;
    let line = 1;
    let counted = 0;
    for (const match of text.matchAll(compile(pattern, options))) {
        if (found.length === wanted) {
            more = true;
            break;
        }
        for (; counted < match.index; counted += 1) {
            if (text[counted] === '\n') line += 1;
        }
        found.push({ text: match[0], at: match.index, line, groups: groupsOf(match) });
    }
    return { found, more };
}

export function replace(pattern, text, replacement, options) {
    return text.replace(compile(pattern, options), replacement);
}

export function split(pattern, text, options) {
    return text.split(compile(pattern, options)).map((piece) => piece ?? '');
}
