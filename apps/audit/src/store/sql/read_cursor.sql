SELECT position, entries_read, seq FROM cursors WHERE partition = ?
