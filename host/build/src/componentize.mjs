// node componentize.mjs COMPONENTIZE_JS SOURCE WIT WORLD TO [FEATURE…]: writes the component, without those features.
import { writeFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';

const [program, sourcePath, witPath, worldName, to, ...disableFeatures] = process.argv.slice(2);
try {
    const { componentize } = await import(pathToFileURL(program));
    const { component } = await componentize({ sourcePath, witPath, worldName, disableFeatures });
    await writeFile(to, component);
} catch (error) {
    console.error(error.message);
    process.exit(1);
}
