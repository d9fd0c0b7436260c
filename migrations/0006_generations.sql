-- Every version of a plugin that was put in place, and where it stands.
CREATE TABLE plugin_generation (
    generation_id TEXT PRIMARY KEY,
    plugin_id TEXT NOT NULL,
    number BIGINT NOT NULL,
    origin TEXT NOT NULL,
    digest TEXT NOT NULL,
    version TEXT NOT NULL,
    manifest TEXT NOT NULL,
    tools TEXT NOT NULL,
    state TEXT NOT NULL,
    reject_code TEXT NOT NULL,
    proven BIGINT NOT NULL,
    failed_starts BIGINT NOT NULL,
    last_error TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    activated_at BIGINT,
    retired_at BIGINT
);

CREATE UNIQUE INDEX plugin_generation_number ON plugin_generation (plugin_id, number);

-- What is installed already has been in use for a while.
INSERT INTO plugin_generation (generation_id, plugin_id, number, origin, digest, version, manifest, tools, state,
    reject_code, proven, failed_starts, last_error, created_at, activated_at, retired_at)
SELECT plugin_id || '/1', plugin_id, 1, 'install', digest, version, manifest, tools,
    CASE WHEN status = 'quarantined' THEN 'quarantined' ELSE 'active' END,
    '', 1, 0, '', installed_at, installed_at, NULL
FROM plugin;
