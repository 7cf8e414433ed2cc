BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE deployments (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	alias VARCHAR(300) NOT NULL CHECK (length(alias) > 0), 
	adapter VARCHAR(300) NOT NULL CHECK (length(adapter) > 0), 
	reason VARCHAR(300) NOT NULL, 
	state VARCHAR(12) NOT NULL CHECK (state IN ('wanted', 'superseded', 'live', 'failed', 'retired', 'forgotten')), 
	detail VARCHAR(1000) DEFAULT '' NOT NULL, 
	wanted_at BIGINT NOT NULL, 
	changed_at BIGINT NOT NULL
);
CREATE TABLE key_models (
	"key" INTEGER NOT NULL, 
	model VARCHAR(300) NOT NULL CHECK (length(model) > 0), 
	PRIMARY KEY ("key", model), 
	FOREIGN KEY("key") REFERENCES keys (id)
);
CREATE TABLE key_scopes (
	"key" INTEGER NOT NULL, 
	scope VARCHAR(20) NOT NULL CHECK (scope IN ('inference', 'metrics', 'models:read', 'models:write', 'pages')), 
	PRIMARY KEY ("key", scope), 
	FOREIGN KEY("key") REFERENCES keys (id)
);
CREATE TABLE keys (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	name VARCHAR(64) NOT NULL CHECK (length(name) > 0), 
	sha256 VARCHAR(64) NOT NULL CHECK (length(sha256) = 64), 
	ending VARCHAR(4) NOT NULL, 
	requests_per_minute INTEGER CHECK (requests_per_minute > 0), 
	tokens_per_minute INTEGER CHECK (tokens_per_minute > 0), 
	concurrent INTEGER CHECK (concurrent > 0), 
	created_at BIGINT NOT NULL, 
	revoked_at BIGINT
);
CREATE UNIQUE INDEX keys_by_hash ON keys (sha256);
CREATE UNIQUE INDEX one_valid_key_a_name ON keys (name) WHERE revoked_at IS NULL;
CREATE UNIQUE INDEX one_wanted_an_alias ON deployments (alias) WHERE state = 'wanted';
CREATE UNIQUE INDEX one_live_an_alias ON deployments (alias) WHERE state = 'live';
CREATE TRIGGER keys_are_only_revoked BEFORE UPDATE ON keys
WHEN OLD.revoked_at IS NOT NULL OR NEW.revoked_at IS NULL
  OR (NEW.id, NEW.name, NEW.sha256, NEW.ending, NEW.created_at)
     IS NOT (OLD.id, OLD.name, OLD.sha256, OLD.ending, OLD.created_at)
  OR (NEW.requests_per_minute, NEW.tokens_per_minute, NEW.concurrent)
     IS NOT (OLD.requests_per_minute, OLD.tokens_per_minute, OLD.concurrent)
BEGIN SELECT RAISE(ABORT, 'a key can only be revoked'); END;
CREATE TRIGGER deployments_go_forward BEFORE UPDATE ON deployments
WHEN (NEW.id, NEW.alias, NEW.adapter, NEW.reason, NEW.wanted_at)
     IS NOT (OLD.id, OLD.alias, OLD.adapter, OLD.reason, OLD.wanted_at)
  OR (OLD.state, NEW.state) NOT IN (VALUES
     ('wanted', 'superseded'), ('wanted', 'live'), ('wanted', 'failed'), ('wanted', 'forgotten'),
     ('superseded', 'live'), ('superseded', 'failed'), ('superseded', 'forgotten'),
     ('live', 'retired'), ('live', 'forgotten'),
     ('retired', 'forgotten'), ('failed', 'forgotten'))
BEGIN SELECT RAISE(ABORT, 'a deployment only goes forward'); END;
CREATE TRIGGER keys_no_delete BEFORE DELETE ON keys BEGIN SELECT RAISE(ABORT, 'rows of keys are kept as they are'); END;
CREATE TRIGGER deployments_no_delete BEFORE DELETE ON deployments BEGIN SELECT RAISE(ABORT, 'rows of deployments are kept as they are'); END;
CREATE TRIGGER key_scopes_no_delete BEFORE DELETE ON key_scopes BEGIN SELECT RAISE(ABORT, 'rows of key_scopes are kept as they are'); END;
CREATE TRIGGER key_scopes_no_update BEFORE UPDATE ON key_scopes BEGIN SELECT RAISE(ABORT, 'rows of key_scopes are kept as they are'); END;
CREATE TRIGGER key_models_no_delete BEFORE DELETE ON key_models BEGIN SELECT RAISE(ABORT, 'rows of key_models are kept as they are'); END;
CREATE TRIGGER key_models_no_update BEFORE UPDATE ON key_models BEGIN SELECT RAISE(ABORT, 'rows of key_models are kept as they are'); END;
COMMIT;
