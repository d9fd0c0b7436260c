// node build.mjs COMPONENTIZE_JS TO: writes the component, without the features that import anything.
import { readFile, writeFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';

const [program, to] = process.argv.slice(2);
const { componentize } = await import(pathToFileURL(program));
const { component } = await componentize(await readFile(new URL('words.js', import.meta.url), 'utf8'), {
    witPath: new URL('wit', import.meta.url).pathname,
    worldName: 'words',
    disableFeatures: ['http', 'fetch-event', 'random', 'stdio', 'clocks'],
});
await writeFile(to, component);
