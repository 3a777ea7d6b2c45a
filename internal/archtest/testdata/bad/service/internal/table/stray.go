package table

// Leak has no owner.
func Leak() {
	go func() {}()
}
