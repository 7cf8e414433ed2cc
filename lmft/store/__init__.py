"""What changes: API keys, and which version an alias stands for. One SQLite file, no torch.

database.py     opening `$LMFT_HOME/lmft.db`, its transactions, its errors
migrate.py      bringing a database up to this code, by Alembic
migrations/     one numbered module a step
tables.py       the tables as they are after the last step
keys.py         API keys: hashed, scoped, revocable
deployments.py  wishes for what an alias shall name, and what became of them
shown.py        keys on the terminal

Adapters stay what they are, immutable directories; the store only refers to their ids.
"""
