SELECT length, hash FROM heads WHERE namespace = ? AND entity_id = ?
