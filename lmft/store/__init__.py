"""What changes, in one database: SQLite with nothing to install, PostgreSQL by URL. No torch.

database.py     opening it, its transactions; backend.py: what it needs of a database
sqlite.py       the file `$LMFT_HOME/lmft.db`, its errors; postgresql.py: what a URL names
migrate.py      bringing a database up to this code, by Alembic
migrations/     one numbered module a step
tables.py       the tables as they are after the last step; job_tables.py, library_tables.py
invariants.py   what must be true of the rows
care.py         checks and backups; moving.py: from SQLite to PostgreSQL
projects.py     whose keys, files, jobs and stories belong together
quotas.py       what a project or a key has used, and may use
idempotency.py  a request that is sent twice makes one thing
keys.py         API keys: hashed, scoped, revocable; key_rules.py: what one can be
deployments.py  wishes for what an alias shall name, and what became of them
shown.py        keys on the terminal; projects_shown.py: projects

Adapters stay what they are, immutable directories; the store only refers to their ids.
"""
