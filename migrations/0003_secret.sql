-- Sealed values of plugins. The key lies beside the database, never in it.
-- An empty owner is a secret that the listed plugins share, an empty workspace is every one.
CREATE TABLE secret (
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    workspace_id TEXT NOT NULL,
    plugins TEXT NOT NULL,
    sealed TEXT NOT NULL,
    recipient TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (owner, name, workspace_id)
);

CREATE INDEX secret_by_name ON secret (name);
