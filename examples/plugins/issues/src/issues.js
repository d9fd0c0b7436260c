// Plain JavaScript, which Node.js can test: `fetch` is handed in.

/** Issues that are told when nobody says how many. */
const LIMIT = 10;
const MOST = 50;

/** A failure of a tool is a case of its variant. */
const failure = (tag, val) => ({ tag, val });

function told(issue) {
    return {
        number: issue.number,
        title: issue.title,
        author: issue.user?.login ?? '',
        labels: (issue.labels ?? []).map((label) => label.name ?? label),
        url: issue.html_url,
    };
}

export class Issues {
    constructor(server, fetch) {
        this.server = server.replace(/\/+$/, '');
        this.fetch = fetch;
    }

    async open(repository, limit = LIMIT) {
        const count = Math.min(limit, MOST);
        const issues = await this.ask(repository, `?state=open&per_page=${count}&limit=${count}`, { method: 'GET' });
        // Some forges list what waits to be merged among the issues.
        return issues.filter((issue) => !issue.pull_request).map(told);
    }

    async file(repository, title, text) {
        const body = JSON.stringify({ title, body: text });
        return told(await this.ask(repository, '', { method: 'POST', body }));
    }

    async ask(repository, query, request) {
        if (!/^[\w.-]+\/[\w.-]+$/.test(repository)) {
            throw failure('bad-repository', `\`${repository}\` is not owner/name`);
        }
        const headers = { accept: 'application/json', 'user-agent': 'berth-issues' };
        if (request.body) headers['content-type'] = 'application/json';
        const url = `${this.server}/repos/${repository}/issues${query}`;
        let answer;
        try {
            answer = await this.fetch(url, { ...request, headers });
        } catch (error) {
            // `fetch` keeps the reason to itself; the host has written it into the log of this call.
            throw failure('unreachable', `${this.server}: ${error.message}; \`berth plugin logs issues\` has the reason`);
        }
        if (!answer.ok) {
            const said = await answer.text();
            throw failure('refused', `${answer.status}: ${said.slice(0, 200)}`);
        }
        return answer.json();
    }
}
