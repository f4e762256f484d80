INSERT INTO heads (namespace, entity_id, length, hash) VALUES (?, ?, ?, ?)
ON CONFLICT (namespace, entity_id) DO UPDATE SET length = excluded.length, hash = excluded.hash
