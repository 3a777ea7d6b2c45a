package table

// SelectPartitions is being written.
func SelectPartitions(s *Schema, texts []string, all []Spec) ([]Spec, error) { return all, nil }
