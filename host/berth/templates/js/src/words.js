// Plain JavaScript, which Node.js can test.

export function hello(name) {
    return `Hello, ${name}!`;
}

export function visit(name, visits) {
    return `${hello(name)} Visit ${visits}.`;
}
