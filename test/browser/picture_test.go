package browser

import (
	"image"
	"image/color"
	"path/filepath"
	"strings"
	"testing"
)

func plain(width, height int, c color.NRGBA) *image.NRGBA {
	picture := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			picture.SetNRGBA(x, y, c)
		}
	}
	return picture
}

func TestPicturesDifferByTheShareOfTheirPixels(t *testing.T) {
	grey := color.NRGBA{200, 200, 200, 255}
	before := reduced(plain(300, 150, grey), nil)
	if got := before.Bounds().Size(); got != image.Pt(100, 50) {
		t.Fatalf("reduced: got %v", got)
	}
	near := plain(300, 150, color.NRGBA{216, 200, 200, 255})
	if why := difference(before, reduced(near, nil)); why != "" {
		t.Errorf("one level: %s", why)
	}
	dotted := plain(300, 150, grey)
	blacken := func(width int) {
		for x := range width * shrink {
			for y := range shrink {
				dotted.SetNRGBA(x, y, color.NRGBA{0, 0, 0, 255})
			}
		}
	}
	blacken(5) // of 5,000 pixels
	if why := difference(before, reduced(dotted, nil)); why != "" {
		t.Errorf("within the tolerance: %s", why)
	}
	blacken(10)
	if why := difference(before, reduced(dotted, nil)); !strings.Contains(why, "0.20 % of the pixels differ") {
		t.Errorf("beyond the tolerance: %s", why)
	}
	why := difference(before, reduced(plain(300, 153, grey), nil))
	if !strings.Contains(why, "was (100,50) and is (100,51)") {
		t.Errorf("another size: %s", why)
	}
}

func TestABaselineIsReadAsItWasWritten(t *testing.T) {
	picture := reduced(plain(40, 20, color.NRGBA{10, 120, 250, 255}), nil)
	file := filepath.Join(t.TempDir(), "a.png")
	write(t, file, picture)
	back, err := read(file)
	if err != nil {
		t.Fatal(err)
	}
	if why := difference(picture, back); why != "" {
		t.Error(why)
	}
	if _, err := read(file + "x"); err == nil || !strings.Contains(err.Error(), "no baseline") {
		t.Errorf("a missing file: %v", err)
	}
}
