-- The first batch of a partition has no cursor yet to compare with.
INSERT INTO cursors (partition, position, entries_read, seq) VALUES (?, ?, ?, ?) ON CONFLICT (partition) DO NOTHING
