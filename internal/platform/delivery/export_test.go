package delivery

// Loaded reports whether the queue may send the deliveries of all shards.
func (q *Queue) Loaded() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, loaded := range q.loaded {
		if !loaded {
			return false
		}
	}
	return true
}
