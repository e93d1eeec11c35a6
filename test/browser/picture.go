package browser

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// A picture is compared with its baseline after both were reduced to a third of
// their size and 16 levels a channel, which keeps the baselines small. Two pixels
// differ when a channel differs by more than differs; the pictures differ when
// more than tolerated of their pixels do.
const (
	shrink    = 3
	differs   = 16
	tolerated = 0.001
	levels    = 0xf0 // the bits of a channel that are kept
	tallest   = 2600 // CSS pixels of a page that are compared
)

// versionFile records the Chromium of the baselines: another one draws letters
// differently.
const versionFile = "chromium.txt"

// album compares pictures of pages with the baselines in a folder.
type album struct {
	folder string
	update bool   // write the baselines
	mask   string // selectors of elements that change from run to run
	other  string // the version of the baselines, where it is not ours
}

// Baselines makes [Browser.Look] compare each page with the picture of its name
// in a folder, but for the elements that the selectors of mask find. With update
// it writes the pictures instead. With another Chromium than that of the
// pictures, nothing is compared and the test's log says so.
func (b *Browser) Baselines(folder string, update bool, mask ...string) {
	b.t.Helper()
	b.album = &album{folder: folder, update: update, mask: strings.Join(mask, ", ")}
	own := b.Version()
	file := filepath.Join(folder, versionFile)
	if update {
		err := os.MkdirAll(folder, 0o755)
		if err == nil {
			err = os.WriteFile(file, []byte(own+"\n"), 0o600)
		}
		if err != nil {
			b.t.Fatal(err)
		}
		return
	}
	text, err := os.ReadFile(file)
	if err != nil {
		b.t.Fatal(err)
	}
	if recorded := strings.TrimSpace(string(text)); recorded != own {
		b.album.other = recorded
		b.t.Logf("pictures are not compared: this is %s and the baselines in %s are of %s; "+
			"look at the pictures, then run the test with -update", own, folder, recorded)
	}
}

// Version is the name and version of the browser.
func (b *Browser) Version() string {
	b.t.Helper()
	var product string
	ask := chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		version, err := cdp.Call(ctx, tab, browser.GetVersion, cdp.Empty{})
		product = version.Product
		return err
	})
	if err := chromedp.Do(b.ctx, ask); err != nil {
		b.t.Fatal(err)
	}
	return product
}

// windowHeight is the height of the window that pages are shown in.
const windowHeight = 900

// picture takes the whole page as PNG. The window is as high as the page
// meanwhile: a capture beyond the window lays the page out while it is taken.
func (b *Browser) picture() (picture []byte, masked []image.Rectangle) {
	b.t.Helper()
	width := b.stretch()
	b.Drawn()
	if b.album != nil {
		masked = b.masked()
	}
	picture = b.capture()
	if err := chromedp.Do(b.ctx, chromedp.EmulateViewport(width, windowHeight)); err != nil {
		b.t.Fatal(err)
	}
	return picture, masked
}

// stretch makes the window as high as the page, and returns its width.
func (b *Browser) stretch() int64 {
	b.t.Helper()
	var width, height int64
	size := b.Evaluate(`innerWidth + " " + Math.max(document.documentElement.scrollHeight, innerHeight)`)
	if _, err := fmt.Sscan(size, &width, &height); err != nil {
		b.t.Fatal(err)
	}
	if err := chromedp.Do(b.ctx, chromedp.EmulateViewport(width, height)); err != nil {
		b.t.Fatal(err)
	}
	return width
}

// capture takes what the window shows as PNG.
func (b *Browser) capture() (picture []byte) {
	b.t.Helper()
	b.do("take a picture", func(ctx context.Context, tab *chromedp.Target) error {
		taken, err := cdp.Call(ctx, tab, page.CaptureScreenshot, page.CaptureScreenshotParams{OptimizeForSpeed: new(true)})
		picture = taken.Data
		return err
	})
	return picture
}

// paperWidth is that of A4 without the margins of 14 mm that the stylesheet sets, in CSS pixels.
const paperWidth = 688

// Paper prints the page on A4: as a picture of one long sheet, and as PDF. The page stays as it is printed.
func (b *Browser) Paper() (picture, pdf []byte) {
	b.t.Helper()
	b.do("print", func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"})
		return err
	})
	b.Resize(paperWidth)
	b.stretch()
	b.Drawn()
	picture = b.capture()
	b.do("print", func(ctx context.Context, tab *chromedp.Target) error {
		result, err := cdp.Call(ctx, tab, page.PrintToPDF,
			page.PrintToPDFParams{PreferCSSPageSize: new(true), PrintBackground: new(true)})
		pdf = result.Data
		return err
	})
	return picture, pdf
}

// Resize changes the width of the window, with the page that is shown.
func (b *Browser) Resize(width int64) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, chromedp.EmulateViewport(width, windowHeight)); err != nil {
		b.t.Fatal(err)
	}
	b.Drawn()
}

// Pictures takes the whole page as PNG in each of the themes. The window stays as high as the page.
func (b *Browser) Pictures(themes ...string) (list [][]byte) {
	b.t.Helper()
	b.stretch()
	for _, theme := range themes {
		b.Theme(theme)
		list = append(list, b.capture())
	}
	return list
}

// masked are the places of the masked elements on the page, in CSS pixels.
func (b *Browser) masked() (places []image.Rectangle) {
	b.t.Helper()
	if b.album.mask == "" {
		return nil
	}
	found := b.Evaluate(`[...document.querySelectorAll(` + fmt.Sprintf("%q", b.album.mask) + `)]
		.filter((e) => e.checkVisibility()).map((e) => e.getBoundingClientRect())
		.map((r) => [r.left + scrollX, r.top + scrollY, r.right + scrollX, r.bottom + scrollY])
		.map((corners) => corners.map(Math.round).join()).join("\n")`)
	for line := range strings.Lines(found) {
		var place image.Rectangle
		_, err := fmt.Sscanf(line, "%d,%d,%d,%d", &place.Min.X, &place.Min.Y, &place.Max.X, &place.Max.Y)
		if err != nil {
			b.t.Fatal(err)
		}
		places = append(places, place)
	}
	return places
}

// compare holds a picture of the page against the baseline of a name. Where they
// differ, it writes both and the difference into the folder BELFRY_TEST_SCREENSHOTS.
func (b *Browser) compare(name string, taken []byte, masked []image.Rectangle) {
	b.t.Helper()
	picture, err := png.Decode(bytes.NewReader(taken))
	if err != nil {
		b.t.Fatal(err)
	}
	now := reduced(picture, masked)
	file := filepath.Join(b.album.folder, name+".png")
	if b.album.update {
		write(b.t, file, now)
		return
	}
	if b.album.other != "" {
		return
	}
	before, err := read(file)
	if err != nil {
		b.t.Errorf("%s: %v (run the test with -update to accept the page as it is)", name, err)
		return
	}
	if why := difference(before, now); why != "" {
		b.t.Errorf("%s: %s%s", name, why, keep(b.t, name, before, now))
	}
}

// reduced shrinks a picture and drops the lowest bits of its channels. Masked
// places are grey.
func reduced(picture image.Image, masked []image.Rectangle) *image.NRGBA {
	bounds := picture.Bounds()
	full := image.NewNRGBA(image.Rect(0, 0, bounds.Dx(), bounds.Dy()))
	draw.Draw(full, full.Bounds(), picture, bounds.Min, draw.Src)
	for _, place := range masked {
		draw.Draw(full, place, image.NewUniform(color.Gray{Y: 0x80}), image.Point{}, draw.Src)
	}
	out := image.NewNRGBA(image.Rect(0, 0, bounds.Dx()/shrink, min(bounds.Dy(), tallest)/shrink))
	for y := range out.Bounds().Dy() {
		for x := range out.Bounds().Dx() {
			pixel := out.Pix[out.PixOffset(x, y):]
			for channel := range 3 {
				pixel[channel] = mean(full, x*shrink, y*shrink, channel) & levels
			}
			pixel[3] = 0xff
		}
	}
	return out
}

// mean is that of a channel in a square of pixels.
func mean(picture *image.NRGBA, left, top, channel int) uint8 {
	sum := 0
	for y := top; y < top+shrink; y++ {
		row := picture.Pix[picture.PixOffset(left, y):]
		for x := range shrink {
			sum += int(row[x*4+channel])
		}
	}
	return uint8(sum / (shrink * shrink)) //nolint:gosec // at most 255
}

// difference says why two pictures are not the same; "" = they are.
func difference(before, now *image.NRGBA) string {
	if before.Bounds() != now.Bounds() {
		return fmt.Sprintf("the page was %v and is %v pixels (reduced)", before.Bounds().Size(), now.Bounds().Size())
	}
	count := 0
	for i := 0; i < len(now.Pix); i += 4 {
		if far(before.Pix[i:i+3], now.Pix[i:i+3]) {
			count++
		}
	}
	share := float64(count) / float64(len(now.Pix)/4)
	if share <= tolerated {
		return ""
	}
	return fmt.Sprintf("%.2f %% of the pixels differ, %.2f %% are tolerated", share*100, tolerated*100)
}

func far(a, b []uint8) bool {
	for i := range a {
		if d := int(a[i]) - int(b[i]); d > differs || d < -differs {
			return true
		}
	}
	return false
}

// keep writes the pictures that differ and says where.
func keep(t testing.TB, name string, before, now *image.NRGBA) string {
	folder := os.Getenv("BELFRY_TEST_SCREENSHOTS")
	if folder == "" {
		return " (BELFRY_TEST_SCREENSHOTS names a folder for the pictures)"
	}
	marked := image.NewNRGBA(now.Bounds())
	copy(marked.Pix, now.Pix)
	for i := 0; i < len(marked.Pix); i += 4 {
		if i+3 < len(before.Pix) && before.Bounds() == now.Bounds() && far(before.Pix[i:i+3], now.Pix[i:i+3]) {
			copy(marked.Pix[i:], []uint8{0xff, 0, 0x80, 0xff})
		}
	}
	for suffix, picture := range map[string]*image.NRGBA{"before": before, "now": now, "difference": marked} {
		write(t, filepath.Join(folder, name+"."+suffix+".png"), picture)
	}
	return "; see " + filepath.Join(folder, name+".difference.png")
}

func write(t testing.TB, file string, picture *image.NRGBA) {
	t.Helper()
	var out bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	err := encoder.Encode(&out, indexed(picture))
	if err == nil {
		err = os.WriteFile(file, out.Bytes(), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// indexed is the picture with a palette, which is half the size, or the picture
// itself where it has too many colours.
func indexed(picture *image.NRGBA) image.Image {
	out := image.NewPaletted(picture.Bounds(), nil)
	known := map[color.NRGBA]uint8{}
	for y := range picture.Bounds().Dy() {
		for x := range picture.Bounds().Dx() {
			c := picture.NRGBAAt(x, y)
			index, found := known[c]
			if !found {
				if len(out.Palette) == 256 {
					return picture
				}
				index = uint8(len(out.Palette)) //nolint:gosec // below 256
				known[c] = index
				out.Palette = append(out.Palette, c)
			}
			out.SetColorIndex(x, y, index)
		}
	}
	return out
}

func read(file string) (*image.NRGBA, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("there is no baseline")
	}
	if err != nil {
		return nil, err
	}
	picture, err := png.Decode(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	out := image.NewNRGBA(picture.Bounds())
	draw.Draw(out, out.Bounds(), picture, image.Point{}, draw.Src)
	return out, nil
}
