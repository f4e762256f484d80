INSERT INTO records (
  event_id, partition, seq, namespace, entity_id, chain_index, kind, event_type, who, when_ms, record, event_hash, salt, data
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
