-- Compare and set: no row changes when another recorder has moved the cursor meanwhile.
UPDATE cursors SET position = ?, entries_read = ?, seq = ? WHERE partition = ? AND position = ? AND seq = ?
