-- One text for SQLite and PostgreSQL: ids and JSON are TEXT, times are microseconds of the Unix epoch, booleans 0 or 1.

CREATE TABLE workspace (
    workspace_id TEXT PRIMARY KEY,
    title TEXT NOT NULL,
    description TEXT NOT NULL,
    status TEXT NOT NULL,
    base_mode TEXT NOT NULL,
    prompt_overlay TEXT NOT NULL,
    default_target TEXT NOT NULL,
    governance TEXT NOT NULL,
    metadata TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE actor (
    actor_id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    display_name TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE endpoint (
    endpoint_id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    provider_type TEXT NOT NULL,
    transport TEXT NOT NULL,
    display_name TEXT NOT NULL,
    status TEXT NOT NULL,
    labels TEXT NOT NULL,
    priority BIGINT NOT NULL,
    metadata TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE membership (
    endpoint_id TEXT NOT NULL REFERENCES endpoint (endpoint_id),
    workspace_id TEXT NOT NULL REFERENCES workspace (workspace_id),
    is_primary BIGINT NOT NULL,
    enabled BIGINT NOT NULL,
    source TEXT NOT NULL,
    PRIMARY KEY (endpoint_id, workspace_id)
);

CREATE INDEX membership_by_workspace ON membership (workspace_id);

CREATE TABLE capability (
    endpoint_id TEXT NOT NULL REFERENCES endpoint (endpoint_id),
    tool_key TEXT NOT NULL,
    capability_id TEXT NOT NULL,
    title TEXT NOT NULL,
    description TEXT NOT NULL,
    input_schema TEXT NOT NULL,
    output_schema TEXT NOT NULL,
    risk_word TEXT NOT NULL,
    requires_confirmation BIGINT NOT NULL,
    enabled BIGINT NOT NULL,
    constraints TEXT NOT NULL,
    metadata TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (endpoint_id, tool_key)
);

CREATE TABLE address (
    address_id TEXT PRIMARY KEY,
    endpoint_id TEXT NOT NULL REFERENCES endpoint (endpoint_id),
    provider_type TEXT NOT NULL,
    kind TEXT NOT NULL,
    external_ref TEXT NOT NULL,
    display_name TEXT NOT NULL,
    workspaces TEXT NOT NULL,
    status TEXT NOT NULL,
    capabilities TEXT NOT NULL,
    metadata TEXT NOT NULL,
    last_seen_at BIGINT,
    last_verified_at BIGINT,
    updated_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX address_external ON address (endpoint_id, kind, external_ref);

CREATE TABLE connection (
    connection_id TEXT PRIMARY KEY,
    endpoint_id TEXT NOT NULL REFERENCES endpoint (endpoint_id),
    connected BIGINT NOT NULL,
    remote TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL
);

CREATE TABLE thread (
    thread_id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspace (workspace_id),
    title TEXT NOT NULL,
    status TEXT NOT NULL,
    summary TEXT NOT NULL,
    mode TEXT NOT NULL,
    default_key TEXT,
    metadata TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX thread_default ON thread (workspace_id, default_key)
    WHERE default_key IS NOT NULL AND status <> 'deleted';
CREATE INDEX thread_by_update ON thread (updated_at, thread_id);

CREATE TABLE message (
    message_id TEXT PRIMARY KEY,
    thread_id TEXT NOT NULL REFERENCES thread (thread_id),
    -- Messages of a thread in the order of their acceptance, also within one microsecond.
    position BIGINT NOT NULL,
    session_id TEXT,
    run_id TEXT,
    workspace_id TEXT NOT NULL,
    role TEXT NOT NULL,
    channel TEXT NOT NULL,
    content TEXT NOT NULL,
    status TEXT NOT NULL,
    -- Empty when unknown: a unique index takes two NULLs for different.
    origin_endpoint TEXT NOT NULL,
    endpoint_message_id TEXT,
    metadata TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE INDEX message_position ON message (thread_id, position);
CREATE UNIQUE INDEX message_idempotency ON message (thread_id, origin_endpoint, role, endpoint_message_id)
    WHERE endpoint_message_id IS NOT NULL;

CREATE TABLE session (
    session_id TEXT PRIMARY KEY,
    thread_id TEXT NOT NULL REFERENCES thread (thread_id),
    endpoint_id TEXT,
    workspace_id TEXT NOT NULL,
    status TEXT NOT NULL,
    metadata TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE binding (
    binding_id TEXT PRIMARY KEY,
    endpoint_id TEXT NOT NULL,
    thread_id TEXT NOT NULL REFERENCES thread (thread_id),
    workspace_id TEXT NOT NULL,
    address_id TEXT,
    strategy TEXT NOT NULL,
    conversation_key TEXT NOT NULL,
    display_name TEXT NOT NULL,
    status TEXT NOT NULL,
    metadata TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX binding_conversation ON binding (endpoint_id, strategy, conversation_key);

CREATE TABLE run (
    run_id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspace (workspace_id),
    thread_id TEXT REFERENCES thread (thread_id),
    session_id TEXT,
    trigger_type TEXT NOT NULL,
    actor_id TEXT NOT NULL REFERENCES actor (actor_id),
    origin_endpoint TEXT,
    status TEXT NOT NULL,
    input_message TEXT,
    output_message TEXT,
    failure TEXT,
    effects_started BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    metadata TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    finished_at BIGINT
);

CREATE INDEX run_by_status ON run (status, created_at, run_id);
CREATE INDEX run_by_thread ON run (thread_id, created_at);
-- Runs of one thread come one after another, whatever host takes them.
CREATE UNIQUE INDEX run_one_per_thread ON run (thread_id)
    WHERE thread_id IS NOT NULL AND status IN ('running', 'waiting_for_approval', 'waiting_for_endpoint');

CREATE TABLE event_cursor (
    id BIGINT PRIMARY KEY,
    value BIGINT NOT NULL
);

INSERT INTO event_cursor (id, value) VALUES (1, 0);

CREATE TABLE run_event (
    position BIGINT PRIMARY KEY,
    event_id TEXT NOT NULL UNIQUE,
    run_id TEXT NOT NULL REFERENCES run (run_id),
    seq BIGINT NOT NULL,
    thread_id TEXT,
    session_id TEXT,
    workspace_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX run_event_seq ON run_event (run_id, seq);
CREATE INDEX run_event_by_thread ON run_event (thread_id, position);
CREATE INDEX run_event_by_workspace ON run_event (workspace_id, position);

CREATE TABLE operation (
    operation_id TEXT PRIMARY KEY,
    call_id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    title TEXT NOT NULL,
    thread_id TEXT,
    workspace_id TEXT NOT NULL,
    run_id TEXT,
    session_id TEXT,
    actor_id TEXT NOT NULL,
    tool TEXT NOT NULL,
    tool_key TEXT NOT NULL,
    target_kind TEXT NOT NULL,
    target_id TEXT NOT NULL,
    target_endpoint TEXT,
    approval_id TEXT,
    status TEXT NOT NULL,
    arguments TEXT NOT NULL,
    result TEXT NOT NULL,
    error TEXT NOT NULL,
    receipt TEXT NOT NULL,
    routing TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    finished_at BIGINT
);

CREATE INDEX operation_by_run ON operation (run_id, created_at, operation_id);
CREATE INDEX operation_open ON operation (created_at, operation_id)
    WHERE status NOT IN ('succeeded', 'failed', 'cancelled', 'rejected');

CREATE TABLE approval (
    approval_id TEXT PRIMARY KEY,
    operation_id TEXT NOT NULL REFERENCES operation (operation_id),
    kind TEXT NOT NULL,
    risk TEXT NOT NULL,
    prompt TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    decided_by TEXT,
    expires_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    decided_at BIGINT
);

CREATE INDEX approval_by_status ON approval (status, created_at, approval_id);

CREATE TABLE delivery (
    delivery_id TEXT PRIMARY KEY,
    endpoint_id TEXT NOT NULL,
    address_id TEXT,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    status TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    available_at BIGINT,
    error TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE INDEX delivery_due ON delivery (endpoint_id, status, available_at);

CREATE TABLE plugin (
    plugin_id TEXT PRIMARY KEY,
    version TEXT NOT NULL,
    digest TEXT NOT NULL,
    manifest TEXT NOT NULL,
    tools TEXT NOT NULL,
    status TEXT NOT NULL,
    last_error TEXT NOT NULL,
    installed_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- Grants may come before the plugin and outlive it: no foreign key.
CREATE TABLE plugin_grant (
    grant_id TEXT PRIMARY KEY,
    plugin_id TEXT NOT NULL,
    capability TEXT NOT NULL,
    scope TEXT NOT NULL,
    limits TEXT NOT NULL,
    mode TEXT NOT NULL,
    workspace_id TEXT,
    granted_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    uses_left BIGINT,
    revoked_at BIGINT
);

CREATE INDEX plugin_grant_by_plugin ON plugin_grant (plugin_id, created_at);
