"""All state in Redis: keys, the ledger, presence, events and history."""
