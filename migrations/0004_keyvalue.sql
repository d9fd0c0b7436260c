-- The key-value pairs of plugins. A space is what one plugin has in one workspace; its row counts what is in it, and
-- numbers its changes, so that nobody takes a pair that was removed and set again for the one that it was.

CREATE TABLE keyvalue_space (
    plugin_id TEXT NOT NULL,
    workspace_id TEXT NOT NULL,
    pairs BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (plugin_id, workspace_id)
);

-- The value is base64, which both databases keep as it is.
CREATE TABLE keyvalue (
    plugin_id TEXT NOT NULL,
    workspace_id TEXT NOT NULL,
    bucket TEXT NOT NULL,
    pair_key TEXT NOT NULL,
    value TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (plugin_id, workspace_id, bucket, pair_key)
);
