package pages_test

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"path/filepath"
	"testing"

	"github.com/belfryhq/belfry/test/browser"
)

// TestTheTolerance changes a page a little, and looks at which changes the comparison of pictures sees.
func TestTheTolerance(t *testing.T) {
	b := browser.Start(t)
	i := install(t)
	w := newWalker(t, b, i)
	p := shown{"account-members", "/accounts/" + i.full + "/members", owner}
	picture := func(s state, change string) image.Image {
		w.open(p, s)
		w.b.Evaluate(masked)
		w.b.Evaluate(`(() => { ` + change + `; return ""; })()`)
		decoded, err := png.Decode(bytes.NewReader(w.b.Pictures(s.theme)[0]))
		if err != nil {
			t.Fatal(err)
		}
		return decoded
	}
	for _, s := range states {
		plain := picture(s, "")
		recorded := blocksOf(plain)
		for n, mean := range recorded.mean {
			recorded.mean[n] = levelOf(mean)
		}
		for _, c := range []struct {
			name, change string
			seen         bool
		}{
			{"nothing", "", false},
			{"a digit of a time", `const at = document.querySelector("main time"); at.textContent = at.textContent.replace(/\d/, "8")`, false},
			{"8 px of padding", `document.querySelector("main .panel").style.paddingTop = "8px"`, true},
			{"a hidden button", `document.querySelector("main .button.primary").style.visibility = "hidden"`, true},
			{"another colour of a button", `document.querySelector("main .button.primary").style.background = "#999"`, true},
		} {
			changed := picture(s, c.change)
			different, why := blocksOf(changed).compare(recorded)
			if (why != "") != c.seen {
				if err := mark(filepath.Join(output, "tolerance.difference.png"), changed, different); err != nil {
					t.Fatal(err)
				}
				t.Errorf("%d px, %s: %s: %d blocks differ, %q", s.width, s.theme, c.name, len(different), why)
			}
		}
		if different, why := blocksOf(smoothed(plain)).compare(recorded); why != "" {
			t.Errorf("%d px, %s: letters that are drawn otherwise: %d blocks: %s", s.width, s.theme, len(different), why)
		}
	}
}

// smoothed mixes each pixel with its neighbours at the left and the right, as another anti-aliasing of letters does.
func smoothed(picture image.Image) image.Image {
	bounds := picture.Bounds()
	out := image.NewNRGBA(bounds)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			var sum [3]uint32
			for _, n := range []int{-1, 0, 0, 1} {
				r, g, b, _ := picture.At(min(max(x+n, bounds.Min.X), bounds.Max.X-1), y).RGBA()
				sum = [3]uint32{sum[0] + r, sum[1] + g, sum[2] + b}
			}
			mean := func(sum uint32) uint8 { return uint8(sum >> 10) } //nolint:gosec // a mean of bytes
			out.SetNRGBA(x, y, color.NRGBA{mean(sum[0]), mean(sum[1]), mean(sum[2]), 255})
		}
	}
	return out
}
