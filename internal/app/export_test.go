package app

// Consumes lists the topics that a feature reads.
func Consumes(feature string) (topics []string) {
	for _, f := range features {
		if f.name != feature {
			continue
		}
		for _, s := range f.consumes {
			topics = append(topics, s.Topic)
		}
	}
	return topics
}
