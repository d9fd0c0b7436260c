-- Where each version of a plugin came from, and which key signed it.
ALTER TABLE plugin_generation ADD COLUMN source TEXT NOT NULL DEFAULT '';
ALTER TABLE plugin_generation ADD COLUMN package TEXT NOT NULL DEFAULT '';
ALTER TABLE plugin_generation ADD COLUMN publisher TEXT NOT NULL DEFAULT '';
