package limits

// TablesOf is how many tables g remembers.
func TablesOf(g *Gate) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.tables)
}
