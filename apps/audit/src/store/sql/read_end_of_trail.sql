SELECT seq, record FROM records WHERE partition = ? ORDER BY seq DESC LIMIT 1
