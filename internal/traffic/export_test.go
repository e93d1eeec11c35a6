package traffic

// Uploading is how many logs of an account are arriving.
func (f *Feature) Uploading(accountID string) int {
	f.uploads.mu.Lock()
	defer f.uploads.mu.Unlock()
	return f.uploads.byOne[accountID]
}
