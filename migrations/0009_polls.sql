-- How far each request has come that the host makes again and again for a channel.
CREATE TABLE channel_poll (
    plugin_id TEXT NOT NULL,
    name TEXT NOT NULL,
    request TEXT NOT NULL,
    cursor_text TEXT,
    etag TEXT NOT NULL,
    modified TEXT NOT NULL,
    seen TEXT NOT NULL,
    told BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (plugin_id, name)
);

-- When a plugin was last asked what is new, and answered.
CREATE TABLE plugin_pulse (
    plugin_id TEXT PRIMARY KEY,
    asked_at BIGINT NOT NULL
);
