-- What the host keeps for channels: plugins that are surfaces where people are.

CREATE TABLE channel (
    plugin_id TEXT PRIMARY KEY,
    endpoint_id TEXT NOT NULL UNIQUE,
    workspace_id TEXT NOT NULL,
    digest TEXT NOT NULL,
    hook_token TEXT NOT NULL,
    description TEXT NOT NULL,
    wishes TEXT NOT NULL,
    -- Hexadecimal: bytes of the guest.
    state TEXT NOT NULL,
    position TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE channel_timer (
    plugin_id TEXT NOT NULL,
    name TEXT NOT NULL,
    every_us BIGINT,
    first_at BIGINT,
    next_at BIGINT,
    PRIMARY KEY (plugin_id, name)
);

CREATE TABLE channel_event (
    event_id TEXT PRIMARY KEY,
    plugin_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    status TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    error TEXT NOT NULL,
    available_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE INDEX channel_event_due ON channel_event (plugin_id, status, available_at);

CREATE TABLE delivery_part (
    delivery_id TEXT NOT NULL REFERENCES delivery (delivery_id),
    part_index BIGINT NOT NULL,
    body TEXT NOT NULL,
    status TEXT NOT NULL,
    reference TEXT NOT NULL,
    error TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (delivery_id, part_index)
);
