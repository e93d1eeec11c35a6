package audit

// StepsForTest runs a page's verification: "good", "bad" or "" by step.
func StepsForTest(bundle []byte, vkey string) (tones map[string]string, ok bool) {
	steps, ok := verifySteps(bundle, vkey)
	tones = map[string]string{}
	for _, s := range steps {
		tones[s.Name] = string(s.Tone)
	}
	return tones, ok
}
