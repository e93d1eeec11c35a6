package traffic

import "context"

// Uploading is how many logs of an account are arriving.
func (f *Feature) Uploading(accountID string) int {
	f.uploads.mu.Lock()
	defer f.uploads.mu.Unlock()
	return f.uploads.byOne[accountID]
}

// SetZones replaces how zones are found.
func (f *Feature) SetZones(find func(ctx context.Context, accountID, ref string) (zoneID, name string, err error)) {
	f.cfg.Zone = find
}

// ClassifyByDefault sets the outcome of an entry by the default rules.
func ClassifyByDefault(format Format, e *Entry) { defaultRules.Classify(format, e) }

// RulesOf reads the rules of an account.
func (f *Feature) RulesOf(ctx context.Context, accountID string) (AccountRules, error) {
	rules, err := f.rulesOf(ctx, accountID)
	if err != nil {
		return AccountRules{}, err
	}
	return rules.document, nil
}

// SetMaxNames replaces the limit of an account's names.
func (f *Feature) SetMaxNames(n int) { f.maxNames = n }
