package pages_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/belfryhq/belfry/test/browser"
)

// printed are the pages that people print or keep as PDF.
var printed = []string{
	"account-objectives-report", "account-objectives-id", "account-alerts-id", "account-audit-events-id",
	"account-audit-events-id-tab-proof-verify-1", "account-audit-integrity",
}

// onPaper lists parts of a page that do not belong on paper, and what is dark there.
const onPaper = `(() => {
	const faults = [];
	for (const e of document.querySelectorAll(".side, .toasts, main .button, dialog, .skip, .chart-tools"))
		if (e.checkVisibility() && e.getBoundingClientRect().width > 1)
			faults.push("is printed: " + e.outerHTML.slice(0, 120));
	for (const e of document.querySelectorAll("body, .panel, .card")) {
		const canvas = new OffscreenCanvas(1, 1).getContext("2d");
		canvas.fillStyle = "#fff";
		canvas.fillRect(0, 0, 1, 1);
		canvas.fillStyle = getComputedStyle(e).backgroundColor;
		canvas.fillRect(0, 0, 1, 1);
		if (canvas.getImageData(0, 0, 1, 1).data[0] < 200) faults.push("is dark: " + e.outerHTML.slice(0, 80));
	}
	return [...new Set(faults)].join("\n");
})()`

// TestPagesArePrintedOnA4 prints pages from the dark theme into build/pages.
func TestPagesArePrintedOnA4(t *testing.T) {
	b := browser.Start(t)
	i := install(t)
	w := newWalker(t, b, i)
	left := len(printed)
	if err := os.MkdirAll(output, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, p := range i.pages() {
		if !slices.Contains(printed, p.name) {
			continue
		}
		left--
		w.open(p, state{1400, "dark"})
		picture, pdf := w.b.Paper()
		if over := w.b.Overflow(); over != "" {
			t.Errorf("%s: wider than the paper: %s", p.name, over)
		}
		if faults := w.b.Evaluate(onPaper); faults != "" {
			t.Errorf("%s: %s", p.name, faults)
		}
		if !bytes.HasPrefix(pdf, []byte("%PDF")) {
			t.Errorf("%s: not a PDF: %d bytes", p.name, len(pdf))
		}
		for suffix, file := range map[string][]byte{".pdf": pdf, "-paper.png": picture} {
			if err := os.WriteFile(filepath.Join(output, p.name+suffix), file, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if left > 0 {
		t.Errorf("%d of the pages are not in the walk", left)
	}
}
