package ui_test

import (
	"testing"

	"github.com/belfryhq/belfry/internal/platform/ui"
	"time"
)

func newUI(t *testing.T) *ui.UI {
	t.Helper()
	u, err := ui.New(ui.Options{Now: func() time.Time { return galleryNow }})
	if err != nil {
		t.Fatal(err)
	}
	return u
}
