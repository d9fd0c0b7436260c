import { find, replace, split } from './patterns.js';

// What is thrown is the failure of the tool.
export const patterns = { find, replace, split };
