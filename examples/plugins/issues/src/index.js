import { get } from 'wasi:config/store@0.2.0-rc.1';

import { Issues } from './issues.js';

// The host puts the value in on its way to the forge: this plugin never has it.
const authorization = 'Bearer {{secret:forge_token}}';

/** The issues of the forge that the settings name. They are read in each call, as no call is made while this is built. */
function forge() {
    return new Issues(get('server'), (url, request) =>
        fetch(url, { ...request, headers: { ...request.headers, authorization } }),
    );
}

export const issues = {
    open: (repository, limit) => forge().open(repository, limit),
    file: (repository, title, text) => forge().file(repository, title, text),
};
