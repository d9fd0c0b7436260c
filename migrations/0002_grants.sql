-- What a grant is bound to beyond its plugin: a build, a time, a run, the approval that it came from.
ALTER TABLE plugin_grant ADD COLUMN digest_rule TEXT NOT NULL DEFAULT 'any';
ALTER TABLE plugin_grant ADD COLUMN starts_at BIGINT;
ALTER TABLE plugin_grant ADD COLUMN bound_to TEXT;
ALTER TABLE plugin_grant ADD COLUMN approval_id TEXT;
ALTER TABLE plugin_grant ADD COLUMN revoked_by TEXT;

-- What an approval is about when a plugin asks to use a capability, and what the answer led to.
ALTER TABLE approval ADD COLUMN subject TEXT NOT NULL DEFAULT 'null';
ALTER TABLE approval ADD COLUMN answer TEXT;
ALTER TABLE approval ADD COLUMN grant_id TEXT;

CREATE INDEX approval_by_operation ON approval (operation_id, created_at);

-- Which build of a plugin an operator agreed to; any other is inert. No foreign key: it outlives the plugin.
CREATE TABLE plugin_consent (
    plugin_id TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    given_by TEXT NOT NULL,
    given_at BIGINT NOT NULL
);

INSERT INTO plugin_consent (plugin_id, digest, given_by, given_at)
    SELECT plugin_id, digest, 'user:self', updated_at FROM plugin;

-- Every denial and every use that changes something. Holds no secret and no payload.
CREATE TABLE audit (
    audit_id TEXT PRIMARY KEY,
    plugin_id TEXT NOT NULL,
    capability TEXT NOT NULL,
    scope TEXT NOT NULL,
    decision TEXT NOT NULL,
    is_write BIGINT NOT NULL,
    uses BIGINT NOT NULL,
    call_id TEXT NOT NULL,
    operation_id TEXT NOT NULL,
    run_id TEXT,
    workspace_id TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    grant_id TEXT,
    approval_id TEXT,
    created_at BIGINT NOT NULL
);

CREATE INDEX audit_by_plugin ON audit (plugin_id, created_at, audit_id);
CREATE INDEX audit_by_operation ON audit (operation_id, created_at, audit_id);
