package batch

// where places a column in its batch: the column itself and its parents, outermost last. It turns the index of a value
// into the row it belongs to.
type where struct {
	c     *column
	up    *where
	depth int
}

// row is the row of value i, and whether that value is there at all: neither it nor anything around it is NULL, and
// some row refers to it.
func (w *where) row(i int) (row int, live bool) {
	if !w.c.isValid(i) {
		return 0, false
	}
	return w.rowOf(i)
}

// rowOf is row for a value that may itself be NULL.
func (w *where) rowOf(i int) (row int, live bool) {
	for w.up != nil {
		p := w.up.c
		if p.isList() {
			if i = listOf(p, i); i < 0 {
				return 0, false
			}
		}
		if !p.isValid(i) {
			return 0, false
		}
		w = w.up
	}
	return i, true
}

// listOf is the list of p, whose offsets do not fall, that holds element i; −1 if none does.
func listOf(p *column, i int) int {
	low, high := 0, p.n
	for low < high { // the first list that ends after i
		mid := int(uint(low+high) >> 1)
		if _, to := p.extent(mid); to > i {
			high = mid
		} else {
			low = mid + 1
		}
	}
	if low == p.n {
		return -1
	}
	if from, _ := p.extent(low); from > i {
		return -1
	}
	return low
}
