-- The last record of a chain as it lies there, whatever its head says.
SELECT chain_index, event_hash FROM records WHERE namespace = ? AND entity_id = ? ORDER BY chain_index DESC LIMIT 1
