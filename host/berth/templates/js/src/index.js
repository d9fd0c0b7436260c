import { open } from 'wasi:keyvalue/store@0.2.0-draft2';
import { increment } from 'wasi:keyvalue/atomics@0.2.0-draft2';
import { hello, visit } from './words.js';

export const greetings = {
    greet(name) {
        return hello(name);
    },

    // What is thrown is the failure of the tool.
    welcome(name) {
        let visits;
        try {
            visits = increment(open(''), name, 1n);
        } catch (error) {
            throw { tag: 'not-counted', val: String(error.payload?.tag ?? error) };
        }
        return visit(name, visits);
    },
};
