package main

import (
	"fmt"
	"strings"

	"github.com/belfryhq/belfry/internal/app"
	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/producer"
)

// readProfile is a catalogue file that comes with the program, without the alert types
// that Belfry itself declares and those that without lists.
func readProfile(name, without string) (*catalogue.File, error) {
	sections := app.CatalogueSections()
	own, err := producer.Builtin(sections)
	if err != nil {
		return nil, err
	}
	var patterns []string
	for pattern := range strings.SplitSeq(without, ",") {
		if pattern = strings.TrimSpace(pattern); pattern != "" {
			patterns = append(patterns, pattern)
		}
	}
	used := make([]bool, len(patterns))
	leave := func(alertType string) bool {
		left := catalogue.Compiled[*notify.AlertTypes](own).Find(alertType) != nil
		for i, pattern := range patterns {
			prefix, open := strings.CutSuffix(pattern, "*")
			if alertType == pattern || open && strings.HasPrefix(alertType, prefix) {
				used[i] = true
				left = true
			}
		}
		return left
	}
	text, ok := producer.Profile(name, leave)
	if !ok {
		return nil, fmt.Errorf("--profile is cloudflare, not %q", name)
	}
	for i, pattern := range patterns {
		if !used[i] {
			return nil, fmt.Errorf("--without: the profile %s has no alert type %s", name, pattern)
		}
	}
	return sections.Parse(text, catalogue.YAML)
}
