-- Calls that wait for the answer of a person: what is needed, beside the operation, to run one again from the start.

CREATE TABLE waiting_call (
    operation_id TEXT PRIMARY KEY,
    tool TEXT NOT NULL,
    target TEXT,
    origin_endpoint TEXT,
    is_consented BIGINT NOT NULL,
    endpoints_only BIGINT NOT NULL,
    timeout_ms BIGINT
);
